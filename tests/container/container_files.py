"""What the tests of the container share: the repository's files and how they are read."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / 'docker'
DOCKERFILE = (ROOT / 'Dockerfile').read_text()
NEON_2_6_0 = 'f9d771bbb5f5fa3ae129748596d0ced5389c7f88'
#: The compose file's own variables; a test starts without them.
VARIABLES = (
    'ENGINE',
    'BACKEND',
    'CUDA',
    'NVIDIA_DRIVER',
    'NEON_RNN_UID',
    'NEON_RNN_GID',
    'COMPOSE_FILE',
    'DOCKER_HOST',
    'DOCKER_CONTEXT',
)


def pins(name):
    """The lines ``package==version`` of a requirements file -> their hashes."""
    text = (ROOT / name).read_text().replace('\\\n', ' ')
    lines = [line.split('#')[0].split() for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if line and not line[0].startswith('-')}


def compose_binary():
    """The Compose binary beside this Python or on PATH, or None."""
    beside = Path(sys.executable).parent / 'docker-compose'
    return str(beside) if beside.exists() else shutil.which('docker-compose')


def compose_1_29():
    """The docker-compose 1.29 on PATH, as Debian and Ubuntu package it, or None."""
    for folder in os.get_exec_path():
        binary = Path(folder) / 'docker-compose'
        if binary.exists() and run(binary, 'version', '--short').stdout.startswith('1.29.'):
            return str(binary)
    return None


def clean_environment(**more):
    """The environment without the compose file's variables, and with `more`."""
    return {**{name: value for name, value in os.environ.items() if name not in VARIABLES}, **more}


def run(*command, **options):
    """Run a command; the result has its output as text."""
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **options
    )


def instructions():
    """The Dockerfile's instructions, continuation lines joined and comments left out."""
    text = '\n'.join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith('#'))
    return [
        ' '.join(line.split()) for line in re.sub(r'\\\n', ' ', text).splitlines() if line.strip()
    ]


def arguments():
    """The Dockerfile's build arguments -> their defaults."""
    return dict(line[4:].split('=', 1) for line in instructions() if line.startswith('ARG '))


def stub_nvidia_smi(folder):
    """Put an nvidia-smi into a folder: it answers NVIDIA_SMI or, as before 510, OLD_NVIDIA_SMI."""
    binary = Path(folder) / 'nvidia-smi'
    binary.write_text(
        '#!/bin/sh\n'
        'case $1 in\n'
        '*compute_cap*) [ -n "$NVIDIA_SMI" ] || exit 2; echo "$NVIDIA_SMI" ;;\n'
        '*) [ -n "$OLD_NVIDIA_SMI" ] || exit 9; echo "$OLD_NVIDIA_SMI" ;;\n'
        'esac\n'
    )
    binary.chmod(0o755)
