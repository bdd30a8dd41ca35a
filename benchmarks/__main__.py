"""Run a benchmark: ``./run.sh bench WORDS`` calls ``python -m benchmarks WORDS``."""

import sys

from neon_rnn.cli import call
from neon_rnn.support import processes

#: First word -> module: the import of photographs; the page of kept benchmarks;
#: prediction beside other runtimes.
OTHERS = {
    'importing': 'benchmarks.importing',
    'page': 'benchmarks.page',
    'predict': 'benchmarks.predicting',
}


def main(argv: list[str]) -> int:
    """Measure training and prediction; what the first word may ask for is in `OTHERS`.

    Parameters
    ----------
    argv : list of str
        The words after ``python -m benchmarks``.

    Returns
    -------
    int
        The exit status.
    """
    if argv and argv[0] in OTHERS:
        return call(OTHERS[argv[0]], 'bench ' + argv[0], argv)
    return call('benchmarks.command', 'bench', ['bench'] + argv)


def program() -> int:
    """Run the benchmark of the command line as a program, which ends with it."""
    status = main(sys.argv[1:])
    processes.end_soon()
    return status


if __name__ == '__main__':
    sys.exit(program())
