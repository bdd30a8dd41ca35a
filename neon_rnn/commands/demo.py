"""The whole path once, on synthetic portraits: data, a few epochs of the recurrent network, evaluation, table.

What './run.sh' runs without arguments. Everything it makes says that its data are synthetic: it shows that the
machinery works, it reproduces no accuracy.
"""

import argparse
import os
import shlex
import subprocess
from collections.abc import Callable

from neon_rnn import cli, engines
from neon_rnn.runs import records
from neon_rnn.support import paths, processes
from neon_rnn.support.errors import NeonRnnError, UsageError

#: Enough for the network to learn the portraits: neon's running statistics need some 25 minibatches to settle.
EPOCHS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Few choices: the other commands have the rest."""
    parser.add_argument(
        '--data', default=paths.in_home('data/demo'), metavar='DIR', help='default: %(default)s'
    )
    parser.add_argument(
        '--engine',
        choices=('neon', 'torch'),
        help='default: neon where it is installed, else torch',
    )
    parser.add_argument(
        '-b',
        '--backend',
        default='cpu',
        choices=('gpu', 'cpu', 'mkl', 'numpy'),
        help='default: cpu',
    )
    parser.add_argument(
        '-e', '--epochs', type=int, default=EPOCHS, metavar='N', help='default: %(default)s'
    )
    parser.add_argument(
        '-r', '--rng_seed', type=int, default=0, metavar='N', help='default: %(default)s'
    )
    parser.add_argument(
        '--out',
        default=paths.in_home('results'),
        metavar='FOLDER',
        help='for runs and table (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the commands one after another, showing each as a user would type it."""
    runs = os.path.join(arguments.out, 'runs')
    through = _compose if arguments.engine == 'neon' and not engines.installed('neon') else _step
    before = set(os.listdir(runs)) if os.path.isdir(runs) else set()
    if not os.path.exists(os.path.join(arguments.data, 'dataset.json')):
        _step('data', 'demo', '--out', arguments.data)
    engine = ['--engine', arguments.engine] if arguments.engine else []
    through(
        'train',
        '--model',
        'rnn',
        '--data',
        arguments.data,
        *engine,
        '-b',
        arguments.backend,
        '-e',
        str(arguments.epochs),
        '-r',
        str(arguments.rng_seed),
        '--out',
        runs,
    )
    folder = _last_finished(runs, before)
    # neon's container has nothing to draw with; the table's plots hold the confusion matrix too
    picture = ['--png', os.path.join(folder, 'confusion.png')] if through is _step else []
    through(
        'evaluate',
        folder,
        *engine,
        '-b',
        arguments.backend,
        '--json',
        os.path.join(folder, 'evaluation.json'),
        *picture,
    )
    _step('table', '--runs', runs, '--out', arguments.out)
    print('\nThe table: {}'.format(os.path.join(arguments.out, 'TABLE.md')))
    return 0


def _last_finished(runs: str, before: set[str]) -> str:
    """The run that has just been trained: other trainings may have begun in the same folder meanwhile."""
    folders = [os.path.join(runs, name) for name in sorted(set(os.listdir(runs)) - before)]
    made = [
        records.Run.open(folder)
        for folder in folders
        if os.path.isfile(os.path.join(folder, records.RECORD))
    ]
    finished = [
        run for run in made if run.record['model'] == 'rnn' and run.record['status'] == 'finished'
    ]
    return max(finished, key=lambda run: run.record['ended']).folder


def _compose(*argv: str) -> None:
    """Run one command in neon's container."""
    _step(*argv, run=lambda words: subprocess.call([processes.container_script(), *words]))


def _step(*argv: str, run: Callable[[list[str]], int] = cli.main) -> None:
    """Run one command; stop at the first that fails."""
    print('\n$ ./run.sh {}'.format(' '.join(map(shlex.quote, argv))), flush=True)
    status = run(list(argv))
    if status == 130:
        raise KeyboardInterrupt
    if status:
        # 2: what was asked for cannot be, and the command has said why
        raise (UsageError if status == 2 else NeonRnnError)(
            "'{}' ended with status {}.".format(argv[0], status)
        )
