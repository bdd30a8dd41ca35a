"""Train the rows of the published table, one process each, and regenerate the table.

    neon_rnn reproduce --data data/faces --data-224 data/faces224 --pretrained resnet50.pth
                                                                everything as published, three seeds
    neon_rnn reproduce --data data/faces --rows rnn cnn-2 --seeds 1 --epochs-scale 0.1

Shows first what there is to do and how long it will take. The same command goes on after an interruption: finished runs
of the same configuration are skipped, interrupted ones resumed. A row that fails is reported at the end; the others are
trained. A protocol that was shortened is marked in the records and in the table.
"""

import argparse
import math
import os
import sys
from pathlib import Path

from neon_rnn import cli, engines, published, report
from neon_rnn.support import paths, processes
from neon_rnn.support.errors import NeonRnnError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        '--rows',
        nargs='+',
        metavar='ROW',
        default=list(published.rows()),
        help='default: all eleven, {}'.format(' '.join(published.rows())),
    )
    parser.add_argument(
        '--seeds', type=int, default=3, metavar='N', help='seeds 0 to N - 1 (default: %(default)s)'
    )
    parser.add_argument('--data', required=True, metavar='DIR', help='the data set folder')
    parser.add_argument(
        '--data-224',
        metavar='DIR',
        help='the same photographs at 224x224 pixels, for the transfer '
        'learning rows (default: those of --data, and the records say so)',
    )
    parser.add_argument(
        '--engine', choices=engines.ENGINES, help='default: neon where it is installed, else torch'
    )
    parser.add_argument(
        '-b',
        '--backend',
        default='cpu',
        choices=('gpu', 'cpu', 'mkl', 'numpy'),
        help='default: cpu',
    )
    parser.add_argument(
        '--precision',
        default='float32',
        choices=('float32', 'float64', 'bf16', 'tf32'),
        help='default: %(default)s',
    )
    parser.add_argument(
        '-z',
        '--batch_size',
        type=int,
        default=published.BATCH_SIZE,
        metavar='N',
        help='default: %(default)s, as published',
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '-e',
        '--epochs',
        type=int,
        metavar='N',
        help='the same for all rows (default: as published)',
    )
    length.add_argument(
        '--epochs-scale',
        type=float,
        default=1.0,
        metavar='X',
        help="train this part of each row's published epochs (default: all)",
    )
    parser.add_argument(
        '--pretrained',
        metavar='FILE',
        help="weights for the transfer learning rows; 'none' trains them from random ones",
    )
    parser.add_argument(
        '--neon-python',
        default=os.environ.get('NEON_PYTHON'),
        metavar='FILE',
        help='a Python that has Intel neon 2.6, for the engine neon (default: $NEON_PYTHON, else the '
        'container)',
    )
    parser.add_argument(
        '--plan', action='store_true', help='show what there is to do and the time, and end'
    )
    parser.add_argument(
        '--out',
        default=paths.in_home('results'),
        metavar='FOLDER',
        help='for runs/ and the table (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan, train, regenerate the table; status 1 if a row failed or could not be trained."""
    from neon_rnn import reproduce

    for name in ('seeds', 'epochs', 'batch_size', 'epochs_scale'):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(
                '--{} is {}; it has to be a number above 0.'.format(
                    'epochs-scale' if name == 'epochs_scale' else name, value
                )
            )
    engine = arguments.engine or engines.default()
    program, python = _program(engine, arguments.neon_python)
    runs = str(Path(arguments.out) / 'runs')
    settings = reproduce.Settings(
        rows=list(dict.fromkeys(arguments.rows)),
        seeds=arguments.seeds,
        data=arguments.data,
        data_224=arguments.data_224,
        engine=engine,
        backend=arguments.backend,
        precision=arguments.precision,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        epochs_scale=arguments.epochs_scale,
        pretrained=arguments.pretrained,
        out=runs,
        python=python,
    )
    jobs = reproduce.plan(settings, lambda text: print(text, flush=True))
    print(reproduce.summary(jobs), flush=True)
    if arguments.plan:
        return 0
    report.check_matplotlib()  # the table is made at the very end
    try:
        outcomes = reproduce.execute(jobs, Path(runs), Path(arguments.out) / 'logs', program)
    except KeyboardInterrupt:
        print('\nThe same command goes on from the last checkpoint.', file=sys.stderr)
        raise
    if os.path.isdir(runs):
        cli.main(['table', '--runs', runs, '--out', arguments.out])
    lacking = [f'{outcome.job.name}: {outcome.text}' for outcome in outcomes if outcome.failed]
    lacking += [
        f'{job.name}: {job.reason}'
        for job in jobs
        if job.state == 'cannot' or job.reason == 'diverged'
    ]
    if lacking:
        raise NeonRnnError(
            '{} of {} runs are missing: {}'.format(len(lacking), len(jobs), '; '.join(lacking))
        )
    return 0


def _program(engine: str, neon_python: str | None) -> tuple[list[str], str | None]:
    """What trains with an engine: this Python, the one that has neon, or neon's container; and the Python, if it is one."""
    if engines.installed(engine):
        return [sys.executable, '-m', 'neon_rnn'], sys.executable
    if engine != 'neon':
        engines.load(engine)  # says what is missing
    if neon_python:
        processes.check_program(neon_python, '--neon-python')
        return [neon_python, '-m', 'neon_rnn'], neon_python
    return [processes.container_script()], None
