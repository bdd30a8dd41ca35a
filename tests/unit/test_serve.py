"""The server of the page: what it answers, what it refuses, and how much it lets one visitor use.

A made-up network stands behind it; tests/browser has a real run and a real browser.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from page_client import Served, answer, exchange, request, upload
from small_datasets import encoded, picture
from small_training import settings, write_data

from neon_rnn import training
from neon_rnn.cli import main
from neon_rnn.data.images import Preprocessing
from neon_rnn.explain.explainer import Explanation
from neon_rnn.explain.occlusion import occlude
from neon_rnn.serve import page, server
from neon_rnn.serve.app import Limits
from neon_rnn.support.errors import NeonRnnError, UsageError

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPH = encoded(picture(1))
#: A status of the browser's own that only requests of the page itself have.
SAME = {'Sec-Fetch-Site': 'same-origin'}


class MadeUp:
    """In place of an `Explainer`: bright pictures are of the second class."""

    preprocessing = Preprocessing(16, 16)
    source, name, kind = 'made-up, epoch 1', 'RNN <b>', 'photographs'

    def __init__(self):
        self.ready = threading.Event()
        self.ready.set()
        self.error = None

    def predict(self, pixels):
        bright = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)

    def explain(self, pixels):
        assert self.ready.wait(60)
        if self.error:
            raise self.error
        return Explanation(pixels, ['dark', 'bright'], occlude(self.predict, pixels), [])


class Running:
    """A server in a thread."""

    def __init__(self, limits=server.LIMITS, host='127.0.0.1'):
        self.explainer = MadeUp()
        self.opened = server.listen(host, 0)
        self.port = server.address_of(self.opened)[1]
        self.server = server.make_server(self.explainer, self.opened, limits)
        self.thread = threading.Thread(target=self.server.run, kwargs={'sockets': [self.opened]})
        self.thread.start()

    def get(self, path='/', method='GET', **headers):
        names = {name.title(): value for name, value in headers.items()}
        return exchange(self.port, request(method, path, names))

    def end(self):
        self.explainer.ready.set()
        self.server.should_exit = True
        self.thread.join(30)
        self.opened.close()
        assert not self.thread.is_alive()


@pytest.fixture(scope='module')
def running():
    found = Running()
    yield found
    found.end()


@pytest.fixture
def limited():
    """A function that starts a server with other limits."""
    started = []

    def start(**limits):
        started.append(Running(Limits(**limits)))
        return started[-1]

    yield start
    for found in started:
        found.end()


def test_the_page_and_its_files(running):
    for path, kind in [
        ('/', 'text/html; charset=utf-8'),
        ('/page.css', 'text/css; charset=utf-8'),
        ('/page.js', 'text/javascript; charset=utf-8'),
    ]:
        status, headers, body = running.get(path)
        assert (status, headers['content-type']) == (200, kind)
        assert int(headers['content-length']) == len(body)
        assert running.get(path, 'HEAD')[::2] == (200, b'')
    html = running.get('/')[2].decode()
    assert 'RNN &lt;b&gt;, run made-up, epoch 1' in html
    assert 'mean nothing' not in html


def test_the_caution_of_the_readme_is_on_the_page(running):
    readme = (ROOT / 'README.md').read_text('utf-8')
    section = readme.partition('## Limits, and what it must not be used for')[2]
    caution = ' '.join(section.split('\n\n')[1].split())
    assert caution.startswith('Such a model guesses')
    html = ' '.join(running.get('/')[2].decode().split())
    assert caution in html


def test_nothing_on_the_page_is_inline_or_from_elsewhere(running):
    policy = running.get('/')[1]['content-security-policy']
    parts = dict(part.strip().split(' ', 1) for part in policy.split(';'))
    assert parts['default-src'] == "'none'"
    assert parts['script-src'] == parts['style-src'] == parts['connect-src'] == "'self'"
    assert parts['img-src'] == 'data:'
    assert 'unsafe' not in policy
    for path in ('/', '/page.css', '/page.js'):
        text = running.get(path)[2].decode()
        assert '://' not in text
        assert not re.search(r'<style|<script>|\son[a-z]+=|\sstyle=|url\(|innerHTML|eval', text)


@pytest.mark.parametrize(
    'get',
    [
        lambda r: r.get(),
        lambda r: r.get('/none'),
        lambda r: r.get(host='evil.example'),
        lambda r: exchange(r.port, request('POST', '/explain', body=b'x')),
    ],
)
def test_every_answer_has_the_headers(running, get):
    _, headers, _ = get(running)
    assert headers['cache-control'] == 'no-store'
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['referrer-policy'] == 'no-referrer'
    assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert "frame-ancestors 'none'" in headers['content-security-policy']
    assert not [name for name in headers if name.startswith('access-control') or name == 'server']


def test_a_photograph_is_explained(running):
    status, found = upload(running.port, PHOTOGRAPH, **SAME)
    assert status == 200
    assert sorted(name for name, _ in found['probabilities']) == ['bright', 'dark']
    assert sum(value for _, value in found['probabilities']) == pytest.approx(1)
    assert [each['name'] for each in found['pictures']] == ['input', 'decision']
    assert all(each['source'].startswith('data:image/png;base64,') for each in found['pictures'])
    same = upload(running.port, PHOTOGRAPH, Origin=f'http://127.0.0.1:{running.port}')
    assert same[0] == 403  # the name without a port is another origin than the name with it
    host = f'127.0.0.1:{running.port}'
    assert upload(running.port, PHOTOGRAPH, Host=host, Origin=f'http://{host}') == (200, found)


@pytest.mark.parametrize(
    'host', ['localhost', 'LOCALHOST:1', '127.0.0.1:65535', '[::1]', '[::1]:8000']
)
def test_names_of_this_machine(running, host):
    assert running.get(host=host)[0] == 200


@pytest.mark.parametrize(
    'host',
    [
        'evil.example',
        'evil.example:8000',
        'localhost.evil.example',
        'localhost@evil.example',
        '127.0.0.1.evil.example',
        '127.0.0.1:80:80',
        '127.0.0.2',
        '0.0.0.0',
        'localhost.',
        '[::1',
        '::1',
        '',
    ],
)
def test_other_names_are_refused_everywhere(running, host):
    """A site whose name leads to this machine (DNS rebinding) sends its own name."""
    for data in (
        request('GET', '/', {'Host': host}),
        request('POST', '/explain', {'Host': host, 'Content-Type': 'image/jpeg'}, PHOTOGRAPH),
    ):
        status, _, body = exchange(running.port, data)
        assert status == 403
        assert 'use the printed address' in json.loads(body)['error']


def test_a_host_that_is_missing_or_comes_twice(running):
    assert exchange(running.port, b'GET / HTTP/1.1\r\n\r\n')[0] == 400
    assert exchange(running.port, b'GET / HTTP/1.0\r\n\r\n')[0] == 403
    twice = b'GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n'
    assert exchange(running.port, twice)[0] == 400
    twice = b'GET / HTTP/1.0\r\nHost: localhost\r\nHost: evil.example\r\n\r\n'
    assert exchange(running.port, twice)[0] == 400


@pytest.mark.parametrize(
    'headers',
    [
        {'Origin': 'http://evil.example'},
        {'Origin': 'null'},
        {'Origin': 'https://127.0.0.1'},
        {'Sec-Fetch-Site': 'cross-site'},
        {'Sec-Fetch-Site': 'same-site'},
        {'Sec-Fetch-Site': 'none'},
    ],
)
def test_photographs_come_from_the_page_only(running, headers):
    status, found = upload(running.port, PHOTOGRAPH, **headers)
    assert (status, found) == (403, {'error': 'Photographs are taken from the page itself only.'})


@pytest.mark.parametrize(
    'kind',
    [
        'text/plain',
        'multipart/form-data; boundary=x',
        'application/x-www-form-urlencoded',
        'application/octet-stream',
        'image/svg+xml',
        'image/',
        '',
        None,
    ],
)
def test_other_types_are_refused(running, kind):
    """Among them the three that a foreign site may send without asking."""
    status, found = upload(running.port, PHOTOGRAPH, kind=kind)
    assert status == 415
    assert 'JPEG, PNG, BMP, GIF, WEBP, TIFF, PPM' in found['error']


def test_no_other_site_gets_a_permission(running):
    asked = {
        'Origin': 'http://evil.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type',
    }
    status, headers, _ = exchange(running.port, request('OPTIONS', '/explain', asked))
    assert status == 405
    assert not [name for name in headers if name.startswith('access-control')]


@pytest.mark.parametrize(
    'path',
    [
        '/explain/',
        '/page.py',
        '/../app.py',
        '/..%2f..%2fetc/passwd',
        '//etc/passwd',
        '/page.css/../../etc/passwd',
        '/page.css%00',
        'http://evil.example/',
        'http://127.0.0.1/page.css',
        '/favicon.ico',
        '*',
    ],
)
def test_no_address_names_a_file_or_another_host(running, path):
    assert running.get(path)[0] in (404, 405)


def test_queries_and_names_in_headers_change_nothing(running):
    assert running.get('/?file=/etc/passwd')[2] == running.get('/')[2]
    plain = upload(running.port, PHOTOGRAPH)
    named = {'Content-Disposition': 'attachment; filename="/etc/passwd"', 'X-Url': 'http://a.b/'}
    data = request('POST', '/explain?url=http://a.b/', {'Content-Type': 'image/png', **named})
    data = data.replace(b'Content-Length: 0', b'Content-Length: %d' % len(PHOTOGRAPH))
    status, _, body = exchange(running.port, data + PHOTOGRAPH)
    assert (status, json.loads(body)) == plain


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS'])
def test_other_methods(running, method):
    assert running.get('/', method)[0] == 405
    if method != 'POST':
        assert running.get('/explain', method)[0] == 405


@pytest.mark.parametrize(
    ('photograph', 'status', 'text'),
    [
        (b'', 400, 'The file is empty.'),
        (b'no picture', 422, 'not an image of a supported format'),
        (PHOTOGRAPH[:300], 422, 'truncated or damaged'),
        (encoded(picture(1, (200, 9))), 422, 'smaller than 16 pixels (200x9)'),
        (b'P6 60000 60000 255\n', 422, 'more than 64 million pixels'),
    ],
)
def test_a_bad_picture_is_a_clear_error(running, photograph, status, text):
    found = upload(running.port, photograph)
    assert found[0] == status
    assert text in found[1]['error']


def test_a_lack_of_memory_and_a_fault_are_told(running, caplog):
    try:
        running.explainer.error = NeonRnnError('not enough memory for minibatches of 32')
        assert upload(running.port, PHOTOGRAPH) == (
            503,
            {'error': 'not enough memory for minibatches of 32'},
        )
        running.explainer.error = ZeroDivisionError('secret')
        status, found = upload(running.port, PHOTOGRAPH)
        assert status == 500
        assert 'secret' not in found['error']
        assert 'secret' in caplog.text
    finally:
        running.explainer.error = None
    assert upload(running.port, PHOTOGRAPH)[0] == 200


def test_photographs_that_are_too_large(limited):
    headers, limit = {'Content-Type': 'image/jpeg'}, 100000
    strict = limited(bytes=limit)
    for size in (limit + 1, 4 * limit):
        status, found = upload(strict.port, PHOTOGRAPH + bytes(size - len(PHOTOGRAPH)))
        assert (status, found['error'][:23]) == (413, 'This file is too large:')
    # By what it says of itself, before anything was read.
    stated = dict(headers, **{'Content-Length': '99999999999'})
    assert exchange(strict.port, request('POST', '/explain', stated))[0] == 413
    # Without a stated length, to no end.
    endless = dict(headers, **{'Content-Length': None, 'Transfer-Encoding': 'chunked'})
    parts = (b'8000\r\n' + bytes(0x8000) + b'\r\n' for _ in range(10000))
    head = request('POST', '/explain', endless)
    assert exchange(strict.port, (part for source in ([head], parts) for part in source))[0] in (
        413,
        0,  # the connection was reset while the parts were still sent
    )
    assert upload(strict.port, PHOTOGRAPH)[0] == 200


def test_a_photograph_that_does_not_arrive(limited):
    strict = limited(upload_seconds=2)
    data = request('POST', '/explain', {'Content-Type': 'image/jpeg'}, PHOTOGRAPH)
    status, _, body = exchange(strict.port, data[:-10])
    assert status == 408
    assert 'did not arrive in time' in json.loads(body)['error']
    # A visitor that leaves is not answered, and its place is free again.
    with socket.create_connection(('127.0.0.1', strict.port)) as connection:
        connection.sendall(data[:-10])
    assert upload(strict.port, PHOTOGRAPH)[0] == 200


def test_a_connection_that_asks_nothing_is_closed(limited):
    strict = limited(header_seconds=2)
    held = []
    for sent in (b'', b'GET /', b'GET / HTTP/1.1\r\nHost: localhost\r\nX: '):
        held.append(socket.create_connection(('127.0.0.1', strict.port), timeout=60))
        held[-1].sendall(sent)
    assert strict.get()[0] == 200
    for connection in held:
        with connection:
            assert answer(connection)[0] == 0


def test_a_connection_ends_even_while_its_photograph_is_computed(limited):
    strict = limited(connection_seconds=2)
    strict.explainer.ready.clear()
    data = request('POST', '/explain', {'Content-Type': 'image/jpeg'}, PHOTOGRAPH)
    assert exchange(strict.port, data)[0] == 0
    strict.explainer.ready.set()
    assert upload(strict.port, PHOTOGRAPH)[0] == 200


def test_one_request_a_connection(running):
    twice = 2 * request('GET', '/page.css')
    status, headers, body = exchange(running.port, twice)
    assert (status, headers['connection'], len(body)) == (
        200,
        'close',
        int(headers['content-length']),
    )


def test_photographs_wait_for_each_other_and_the_next_is_told_to_come_back(running):
    """Four at a time; the page itself is served meanwhile."""
    running.explainer.ready.clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(upload(running.port, PHOTOGRAPH)[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    app = running.server.config.app
    while app.photographs < 4:
        time.sleep(0.01)
    status, refused = upload(running.port, PHOTOGRAPH)
    assert (status, refused['error'][:5]) == (503, 'Busy ')
    assert running.get()[0] == 200
    running.explainer.ready.set()
    for thread in threads:
        thread.join(60)
    assert found == [200] * 4
    assert app.photographs == 0


def test_connections_are_bounded(limited):
    strict = limited(connections=8)
    connections = strict.server.server_state.connections
    held = [socket.create_connection(('127.0.0.1', strict.port)) for _ in range(8)]
    while len(connections) < 8:
        time.sleep(0.01)
    assert {strict.get()[0] for _ in range(3)} == {503}
    for connection in held:
        connection.close()
    while connections:
        time.sleep(0.01)
    assert strict.get()[0] == 200


@pytest.mark.parametrize(
    'data',
    [
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(200),  # TLS
        b'\r\n' * 1000,
        b'GET /\r\n\r\n',
        b'GET / FTP/1.1\r\nHost: localhost\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'x' * 200000 + b'\r\n\r\n',
        b'GET /' + b'x' * 200000 + b' HTTP/1.1\r\nHost: localhost\r\n\r\n',
        b'POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
        b'POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n'
        b'Content-Length: 2\r\n\r\nxx',
        b'POST /explain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n',
    ],
)
def test_what_is_not_http(running, data):
    assert exchange(running.port, data)[0] in (0, 400, 501)
    assert running.get()[0] == 200


def test_an_upgrade_is_not_made(running):
    asked = {'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Key': 'x'}
    assert exchange(running.port, request('GET', '/', asked))[0] == 200


def test_ipv6():
    try:
        found = Running(host='::1')
    except NeonRnnError as error:
        pytest.skip(f'no IPv6 here: {error}')
    try:
        data = request('GET', '/', host=f'[::1]:{found.port}')
        assert exchange(found.port, data, host='::1')[0] == 200
    finally:
        found.end()


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '224.0.0.1', 'example.org', '127.0.0.1:80', ''])
def test_addresses_that_cannot_be(host):
    with pytest.raises(UsageError, match=f'--host {re.escape(host)}: '):
        server.listen(host, 0)


def test_a_port_in_use_is_named(running):
    with pytest.raises(NeonRnnError, match=f'port {running.port}: .*choose another --port'):
        server.listen('127.0.0.1', running.port)
    with pytest.raises(NeonRnnError, match='192.0.2.1, port'):
        server.listen('192.0.2.1', 0)


def test_what_the_command_refuses(capsys, monkeypatch, tmp_path):
    assert main(['serve', 'none', '--port', '65536']) == 2
    assert '--port 65536: ' in capsys.readouterr().err
    assert main(['serve', str(tmp_path), '--port', '0']) == 2
    assert 'is not a run folder' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    assert main(['serve', 'none', '--port', '0']) == 2
    assert "pip install '.[serve]'" in capsys.readouterr().err


def test_the_types_are_those_that_are_read():
    html = page.files(MadeUp())['/'].content.decode()
    assert f'accept="{",".join(page.TYPES)}"' in html


@pytest.mark.slow
def test_a_run_is_served_until_ctrl_c(tmp_path):
    data = write_data(tmp_path / 'data')
    run = training.train(settings(data, model='fcnn-1', epochs=1), str(tmp_path / 'runs')).folder
    with Served(run) as served:
        status, found = upload(served.port, PHOTOGRAPH)
        assert (status, len(found['pictures'])) == (200, 2)
        html = exchange(served.port, request('GET', '/'))[2].decode()
        assert 'Its answers on photographs mean nothing.' in html
        assert f'FCNN-1, run {os.path.basename(run)}, epoch 1' in html
        assert served.files() == []
        if not os.path.exists('/proc/net/tcp'):
            return
        listening = subprocess.run(
            ['grep', '-c', f':{served.port:04X} .* 0A ', '/proc/net/tcp'],
            capture_output=True,
            text=True,
            check=False,
        )
        assert listening.stdout == '1\n'
        with open('/proc/net/tcp', encoding='ascii') as file:
            assert f' 0100007F:{served.port:04X} 00000000:0000 0A ' in file.read()
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(60) == 130
    assert served.errors == 'neon_rnn serve: interrupted\n'
