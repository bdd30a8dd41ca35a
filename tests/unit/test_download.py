"""Downloads from a local server that supports ranges, ignores them, breaks off or changes files."""

import errno
import http.server
import json
import threading

import pytest

from neon_rnn.cli import main
from neon_rnn.ingest import download
from neon_rnn.ingest.download import fetch
from neon_rnn.support.errors import NeonRnnError, UsageError

DATA = bytes(range(256)) * 2000


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA; attributes say how."""

    data, ranges, tag, break_after, type = DATA, True, '"one"', None, 'application/x-tar'

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.asked = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802  (http.server's name)
        server = self.server
        asked = self.headers.get('Range')
        server.asked.append(asked)
        if self.path != '/wiki_crop.tar':
            self.send_error(404)
            return
        start = 0
        if asked and server.ranges and self.headers.get('If-Range') == server.tag:
            start = int(asked[len('bytes=') : -1])
            if start >= len(server.data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header(
                'Content-Range',
                'bytes {}-{}/{}'.format(start, len(server.data) - 1, len(server.data)),
            )
        else:
            self.send_response(200)
        self.send_header('Content-Length', str(len(server.data) - start))
        self.send_header('ETag', server.tag)
        self.send_header('Content-Type', server.type)
        self.end_headers()
        body = server.data[start:]
        if server.break_after is not None:
            body, server.break_after = body[: server.break_after], None
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        running.url = 'http://127.0.0.1:{}/wiki_crop.tar'.format(running.server_port)
        yield running
        running.shutdown()
        thread.join()


def test_a_whole_file_is_fetched_once(server, tmp_path):
    path = fetch(server.url, tmp_path)
    assert path.read_bytes() == DATA
    assert fetch(server.url, tmp_path) == path
    assert server.asked == [None]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        '.lock',
        'wiki_crop.tar',
    ]


def test_an_interrupted_download_goes_on(server, tmp_path):
    server.break_after = 100000
    assert fetch(server.url, tmp_path, pause=0).read_bytes() == DATA
    assert server.asked == [None, 'bytes=100000-']


def test_a_server_that_ignores_ranges_has_it_start_again(server, tmp_path):
    server.break_after, server.ranges = 100000, False
    assert fetch(server.url, tmp_path, pause=0).read_bytes() == DATA
    assert server.asked == [None, 'bytes=100000-']


def test_a_file_changed_in_between_is_fetched_from_the_start(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, 'ATTEMPTS', 1)
    server.break_after = 100000
    with pytest.raises(NeonRnnError, match='run the command again to continue'):
        fetch(server.url, tmp_path, pause=0)
    assert (tmp_path / 'wiki_crop.tar.part').stat().st_size == 100000
    server.data, server.tag = DATA[::-1], '"two"'
    assert fetch(server.url, tmp_path, pause=0).read_bytes() == DATA[::-1]


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / 'wiki_crop.tar.part').write_bytes(DATA)
    (tmp_path / 'wiki_crop.tar.part.json').write_text(
        json.dumps({'url': server.url, 'validator': '"one"', 'size': len(DATA)})
    )
    assert fetch(server.url, tmp_path, pause=0).read_bytes() == DATA
    (tmp_path / 'wiki_crop.tar').rename(tmp_path / 'wiki_crop.tar.part')
    with open(tmp_path / 'wiki_crop.tar.part', 'ab') as file:
        file.write(b'too much')
    assert fetch(server.url, tmp_path, pause=0).read_bytes() == DATA


def test_a_web_page_in_place_of_the_file_is_not_kept(server, tmp_path):
    server.type = 'text/html; charset=utf-8'
    with pytest.raises(UsageError, match='sends a web page in place of the file'):
        fetch(server.url, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['.lock']
    server.type = 'application/x-tar'
    assert fetch(server.url, tmp_path).read_bytes() == DATA


def test_missing_files_schemes_and_servers(server, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match='the server says 404'):
        fetch(server.url + '.gz', tmp_path)
    with pytest.raises(UsageError, match='only http and https'):
        fetch('file:///etc/passwd', tmp_path)
    monkeypatch.setattr(download, 'ATTEMPTS', 2)
    with pytest.raises(NeonRnnError, match='could not be fetched in 2 attempts'):
        fetch('http://127.0.0.1:1/wiki_crop.tar', tmp_path, pause=0)


def test_a_full_disk_keeps_what_came(server, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(download, '_transfer', full)
    with pytest.raises(NeonRnnError, match='the disk is full'):
        fetch(server.url, tmp_path)


def test_the_command_downloads_and_imports(server, tmp_path, capsys):
    """What the server sends is no tar, which the import has to find out."""
    assert (
        main(
            [
                'data',
                'imdb-wiki',
                '--download',
                'wiki',
                '--url',
                server.url[: -len('wiki_crop.tar')],
                '--downloads',
                str(tmp_path / 'downloads'),
                '--out',
                str(tmp_path / 'set'),
            ]
        )
        == 1
    )
    said = capsys.readouterr().err
    assert 'wiki_crop.tar: is truncated or damaged' in said
    assert 'Remove it and get it again' in said
    assert (tmp_path / 'downloads/wiki_crop.tar').read_bytes() == DATA
