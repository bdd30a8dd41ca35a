"""``python -m neon_rnn COMMAND ...``."""

import sys

from neon_rnn.cli import program

if __name__ == '__main__':
    sys.exit(program())
