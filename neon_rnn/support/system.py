"""The operating systems that neon_rnn runs on."""

import sys

from neon_rnn.support.errors import NeonRnnError


def check():
    """Check that this is a system with locks, signals and links as on Linux.

    Raises
    ------
    NeonRnnError
        It is Windows.
    """
    if sys.platform == 'win32':
        raise NeonRnnError(
            "neon_rnn runs on Linux and macOS, not on Windows itself. Install WSL ('wsl --install' "
            'in PowerShell) and run the same command inside it.'
        )
