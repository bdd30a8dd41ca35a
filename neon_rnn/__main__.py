"""``python -m neon_rnn COMMAND ...``."""

import sys

from neon_rnn.cli import main

if __name__ == '__main__':
    sys.exit(main())
