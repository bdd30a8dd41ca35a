"""Run a benchmark: ``python -m benchmarks [importing] ...``, which is what ``./run.sh bench`` calls."""

import sys

from neon_rnn.cli import call


def main(argv):
    """Measure training and prediction, or with the first word ``importing`` the import of photographs.

    Returns the exit status.
    """
    if argv[:1] == ['importing']:
        return call('benchmarks.importing', 'bench importing', argv)
    return call('benchmarks.command', 'bench', ['bench'] + argv)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
