"""Raw HTTP for the tests of the page: what no well-behaved client would send, too."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile

from neon_rnn.support import processes


class Served:
    """``neon_rnn serve`` in a process of its own, as a context manager.

    Attributes
    ----------
    address : str
        The printed address, such as ``'http://127.0.0.1:8000'``.
    host, port : str, int
    folder : str
        The working directory, home and folder of temporary files of the process: empty at first.
    """

    def __init__(self, run, environment=None):
        self.words = [*processes.package_command(), 'serve', str(run), '--port', '0']
        self.environment = environment or processes.child_environment()

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = self.temporary.name
        environment = dict(
            self.environment,
            OMP_NUM_THREADS='1',
            PYTHONDONTWRITEBYTECODE='1',
            **dict.fromkeys(('HOME', 'TMPDIR', 'XDG_CACHE_HOME', 'NEON_RNN_HOME'), self.folder),
        )
        self.process = subprocess.Popen(
            self.words,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background lets them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        line = self.process.stdout.readline()
        found = re.match(r'(http://(.*):(\d+))/ ', line)
        assert found, self.process.stderr.read()
        self.address, self.host, self.port = found[1], found[2], int(found[3])
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.errors = self.process.communicate(timeout=60)[1]
        self.temporary.cleanup()

    def files(self):
        """Return what the process has written."""
        return [name for _, folders, names in os.walk(self.folder) for name in folders + names]

    def memory(self):
        """Return the largest memory that the process has had, in MiB (Linux)."""
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as file:
            return int(re.search(r'VmHWM:\s*(\d+) kB', file.read())[1]) / 1024


def exchange(port, data, host='127.0.0.1', timeout=60, ends=False):
    """Send bytes and return (status, headers, body); status 0 if the connection ends without.

    With `ends`, say that nothing more will be sent.
    """
    with socket.create_connection((host, port), timeout=timeout) as connection:
        try:
            for part in [data] if isinstance(data, bytes) else data:
                connection.sendall(part)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it may have answered before it has read everything
        return answer(connection)


def answer(connection):
    """Read an answer to its end."""
    received = b''
    try:
        while part := connection.recv(1 << 16):
            received += part
    except ConnectionResetError:
        pass
    head, _, body = received.partition(b'\r\n\r\n')
    lines = head.decode('latin-1').split('\r\n')
    if not lines[0].startswith('HTTP/1.1 '):
        return 0, {}, b''
    headers = dict(line.lower().split(': ', 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def request(method, path, headers=(), body=b'', host='127.0.0.1'):
    """Return the bytes of a request; `headers` replace the usual ones or, None, remove them."""
    length = str(len(body)) if method == 'POST' else None
    lines = {'Host': host, 'Content-Length': length, **dict(headers)}
    head = [f'{method} {path} HTTP/1.1', *(f'{k}: {v}' for k, v in lines.items() if v is not None)]
    return '\r\n'.join([*head, '', '']).encode('latin-1') + body


def upload(port, photograph, kind='image/jpeg', **headers):
    """Send a photograph; return (status, answer)."""
    given = {'Content-Type': kind, **{name.replace('_', '-'): v for name, v in headers.items()}}
    status, _, body = exchange(port, request('POST', '/explain', given, photograph))
    return status, json.loads(body) if body else None
