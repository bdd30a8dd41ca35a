"""The server of the page: what it answers, and what it refuses.

A made-up network stands behind it; tests/browser has a real run and a real browser.
"""

import json
import re
from pathlib import Path

import pytest
from made_up_page import PHOTOGRAPH, MadeUp, Running
from page_client import exchange, request, upload
from small_datasets import encoded, picture

from neon_rnn.serve import page

ROOT = Path(__file__).resolve().parents[2]
#: A status of the browser's own that only requests of the page itself have.
SAME = {'Sec-Fetch-Site': 'same-origin'}


@pytest.fixture(scope='module')
def running():
    found = Running()
    yield found
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


def test_an_upgrade_is_not_made(running):
    asked = {'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Key': 'x'}
    assert exchange(running.port, request('GET', '/', asked))[0] == 200


def test_the_types_are_those_that_are_read():
    html = page.files(MadeUp())['/'].content.decode()
    assert f'accept="{",".join(page.TYPES)}"' in html
