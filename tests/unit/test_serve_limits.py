"""The page of ``serve`` bounds what a visitor uses; and the command around its server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from made_up_page import PHOTOGRAPH, Running
from page_client import Served, answer, exchange, request, upload
from small_training import settings, write_data

from neon_rnn import training
from neon_rnn.cli import main
from neon_rnn.serve import server
from neon_rnn.serve.app import Limits
from neon_rnn.support.errors import NeonRnnError, UsageError


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
