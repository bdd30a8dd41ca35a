"""Two hundred hostile uploads to the page of ``serve``: each is explained or refused in one line.

The server goes on, writes nothing, and its memory stays bounded.
"""

import contextlib
import io
import json
import os
import socket
import struct
import zlib

import numpy as np
import pytest
from mutations import mutated_bytes
from page_client import Served, exchange, request, upload
from PIL import Image
from small_datasets import encoded, picture
from small_training import settings, write_data

from neon_rnn import training
from neon_rnn.serve.page import TYPES

SEED = int(os.environ.get('FUZZ_SEED', '0'))
LIMIT = 32 << 20
#: The refusals that a hostile upload may meet; 0: the connection was closed.
REFUSALS = {0, 400, 408, 413, 415, 422}
#: MiB, the network and PyTorch included.
MEMORY = 1000


def photographs():
    """Return type -> a sound photograph of each format."""
    image = picture(7, (90, 80))
    return {kind: encoded(image, name) for kind, name in TYPES.items()}


def chunk(name, data):
    """Return a chunk of a PNG file."""
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def png(width, height, *chunks, pixels=b''):
    """Return a grey PNG file that says it has this size."""
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
    body = b''.join(chunks) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + header + body


def jpeg_with(segment, count):
    """Return a JPEG file with many copies of a segment after its beginning."""
    sound = photographs()['image/jpeg']
    return sound[:2] + segment * count + sound[2:]


def bombs():
    """Yield (type, file): small files that ask for much."""
    zeros = zlib.compress(bytes(64 << 20), 9)
    text = b'Comment\0\0' + zeros
    yield 'image/png', png(60000, 60000, pixels=zeros)
    yield 'image/png', png(8001, 8000, pixels=zeros)
    yield 'image/png', png(2**31 - 1, 2**31 - 1, pixels=zeros)
    yield 'image/png', png(100, 100, pixels=zeros)
    yield 'image/png', png(100, 100, chunk(b'zTXt', text), pixels=zeros)
    yield 'image/png', png(100, 100, chunk(b'iCCP', text), pixels=zeros)
    yield 'image/png', png(100, 100, *[chunk(b'tEXt', b'a\0b')] * 500000, pixels=zeros)
    yield 'image/gif', b'GIF89a' + struct.pack('<HHBBB', 65535, 65535, 0, 0, 0)
    yield 'image/gif', photographs()['image/gif'][:-1] + b'!\xfe\x01a\0' * 500000
    yield 'image/bmp', b'BM' + bytes(12) + struct.pack('<IiiHHIIiiII', 40, 2**30, 2**30, *[1] * 8)
    yield 'image/x-portable-pixmap', b'P6 99999 99999 255\n'
    yield 'image/x-portable-pixmap', b'P3 8000 8000 255\n' + b'1 ' * 1000000
    yield 'image/jpeg', jpeg_with(b'\xff\xfe\0\x03a', 1000000)
    yield 'image/jpeg', jpeg_with(b'\xff\xe1\xff\xff' + bytes(65533), 400)
    progressive = encoded(picture(7, (3000, 3000)), 'JPEG', progressive=True)
    start = progressive.index(b'\xff\xda')
    yield 'image/jpeg', progressive[:-2] + progressive[start:-2] * 200
    tiff = io.BytesIO()
    Image.new('1', (8192, 8192)).save(tiff, 'TIFF', compression='group4')
    yield 'image/tiff', tiff.getvalue()
    yield 'image/tiff', b'II*\0\x08\0\0\0\xff\xff' + bytes(range(256)) * 3000
    webp = encoded(Image.new('L', (16383, 16383)), 'WEBP', quality=1)
    yield 'image/webp', webp


def other_files():
    """Yield (type, file): what is not a photograph, under the type of one or of its own."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    for content in (svg, b'<script>alert(1)</script>', b'\x7fELF' + bytes(500), b'PK\x03\x04'):
        yield 'image/jpeg', content
    for content in (b'%!PS\n(%pipe%id) (w) file\n', b'cos\nsystem\n(S"id"\ntR.', b'\0' * 100000):
        yield 'image/png', content
    sound = photographs()['image/jpeg']
    for kind in ('image/svg+xml', 'text/html', 'application/json', 'multipart/form-data'):
        yield kind, sound
    yield 'image/jpeg, text/html', sound
    yield 'application/x-www-form-urlencoded', b'url=http://169.254.169.254/&file=/etc/passwd'


def uploads():
    """Yield (type, file) of the hostile uploads that are sound HTTP."""
    rng = np.random.RandomState([SEED, 200])
    sound = photographs()
    for kind, count in (('image/jpeg', 45), ('image/png', 45)):
        for _ in range(count):
            yield kind, mutated_bytes(sound[kind], rng)
    for kind, photograph in sound.items():
        yield kind, mutated_bytes(photograph, rng)
        for _ in range(6):
            yield kind, photograph[: rng.randint(1, len(photograph))]
    yield from bombs()
    yield from other_files()


def post(body=None, path='/explain', **headers):
    """Return the request of an upload; names of headers with _ in place of -."""
    names = {name.replace('_', '-'): value for name, value in headers.items()}
    content = photographs()['image/jpeg'] if body is None else body
    return request('POST', path, {'Content-Type': 'image/jpeg', **names}, content)


#: A body in parts.
CHUNKED = {'Content_Length': None, 'Transfer_Encoding': 'chunked'}


def torn_requests():
    """Yield bytes of uploads that end too early, or whose parts are not as announced."""
    sound = photographs()['image/jpeg']
    yield post()[:-10]
    yield post(sound, Transfer_Encoding='chunked')  # two ways to tell the length
    yield post().replace(b'\r\n', b'\n\x00')
    yield sound
    yield post(b'', **CHUNKED) + b'FFFFFFFFFFFFFFFFFF\r\n' + sound
    yield post(b'', **CHUNKED) + b'-5\r\n' + sound
    yield post(b'', **CHUNKED) + b'5;' + b'x' * 100000 + b'\r\n'


def broken_requests():
    """Yield bytes, or a list of them: uploads that are wrong as HTTP, or too large."""
    sound = photographs()['image/jpeg']
    yield post(bytes(LIMIT + 1))
    yield post(sound + bytes(2 * LIMIT))
    for length in ('99999999999', '9' * 5000, '-1', '+5', '0x10', '1e3', '', ' ', '1, 2'):
        yield post(Content_Length=length)
    yield [post(b'', **CHUNKED), *[b'100000\r\n' + bytes(1 << 20) + b'\r\n'] * 200]
    yield post(sound, Content_Length=str(len(sound) - 20)) + b'GET / HTTP/1.1\r\n\r\n'
    yield post(Content_Type='image/jpeg\r\nContent-Type: text/html')
    yield post(Content_Type='image/jpeg\0')
    yield post(Host='evil.example')
    yield post(Origin='http://evil.example')
    yield post(X='x' * 200000)
    yield post(path='/explain/../../../etc/passwd')
    yield post(path='/explain%00')
    yield post(path='http://169.254.169.254/latest/meta-data')
    yield post(Expect='200-nothing')
    yield post().replace(b'HTTP/1.1', b'HTTP/0.9')


@pytest.mark.slow
def test_hostile_uploads(tmp_path, capsys):
    data = write_data(tmp_path / 'data')
    run = training.train(settings(data, epochs=1), str(tmp_path / 'runs')).folder
    with Served(run) as served, contextlib.ExitStack() as stack:
        expected = upload(served.port, photographs()['image/png'], 'image/png')
        assert expected[0] == 200
        # Slow ones, which stay for as long as the server lets them.
        slow = [
            stack.enter_context(socket.create_connection(('127.0.0.1', served.port)))
            for _ in range(6)
        ]
        photograph = request('POST', '/explain', {'Content-Type': 'image/jpeg'}, bytes(1000))
        for index, connection in enumerate(slow):
            connection.sendall(photograph[:-1] if index < 2 else photograph[: 30 * (index - 2)])
        statuses = []
        for kind, content in uploads():
            status, found = upload(served.port, content, kind)
            statuses.append(status)
            assert status == 200 or status in REFUSALS, (kind, content[:100], found)
            if status not in (0, 200):
                assert list(found) == ['error']
                assert len(found['error'].splitlines()) == 1
                assert str(tmp_path) not in found['error']
        for sent, ends in [
            *((sent, False) for sent in broken_requests()),
            *((sent, True) for sent in torn_requests()),
        ]:
            status, _, body = exchange(served.port, sent, ends=ends)
            statuses.append(status)
            assert status in REFUSALS | {200, 403, 404, 417, 501}, (sent[:200], body)
            if status == 200:
                assert b'"probabilities"' in body
        assert upload(served.port, photographs()['image/png'], 'image/png') == expected
        assert served.process.poll() is None
        assert served.files() == []
        memory = served.memory() if os.path.exists('/proc/self/status') else 0
        assert memory < MEMORY
    assert 'Traceback' not in served.errors
    assert set(served.errors.splitlines()) <= {'Invalid HTTP request received.'}
    with capsys.disabled():
        told = {status: statuses.count(status) for status in sorted(set(statuses))}
        print(
            f'\nuploads: {len(statuses) + len(slow)}, by status {json.dumps(told)}, '
            f'{memory:.0f} MiB',
            end='',
        )
    assert len(statuses) + len(slow) >= 200
