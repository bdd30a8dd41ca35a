"""Run a benchmark: ``./run.sh bench ...`` calls ``python -m benchmarks [importing] ...``."""

import sys

from neon_rnn.cli import call


def main(argv: list[str]) -> int:
    """Measure training and prediction; with ``importing`` first, the import of photographs.

    Parameters
    ----------
    argv : list of str
        The words after ``python -m benchmarks``.

    Returns
    -------
    int
        The exit status.
    """
    if argv[:1] == ['importing']:
        return call('benchmarks.importing', 'bench importing', argv)
    return call('benchmarks.command', 'bench', ['bench'] + argv)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
