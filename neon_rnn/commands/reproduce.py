"""Train the rows of the published table, one process each, and regenerate the table.

    neon_rnn reproduce --data data/faces --data-224 data/faces224 --pretrained resnet50.pth
                                                                as published, three seeds
    neon_rnn reproduce --data data/faces --rows rnn cnn-2 --seeds 1 --epochs-scale 0.1
    neon_rnn reproduce --data data/faces --rows rnn --rnn lstm gru
                                                                other cells in the recurrent network

Shows first what there is to do and how long it takes, where earlier runs on this machine tell. The
same command goes on after an interruption: finished runs of the same configuration are skipped,
interrupted ones resumed. A row that fails is reported at the end; the others are trained. The
records and the table mark a shortened protocol.
"""

import math
import os
import sys

from neon_rnn import engines, published
from neon_rnn.commands import options, table
from neon_rnn.models.rnn import CELLS
from neon_rnn.support import paths, processes, streams
from neon_rnn.support.errors import NeonRnnError, UsageError


def add_arguments(parser):
    """Add the rows, the data, and what may differ from the published protocol."""
    add = parser.add_argument
    rows = list(published.rows())
    add(
        '--rows',
        nargs='+',
        metavar='ROW',
        default=rows,
        help='default: all eleven, {}'.format(' '.join(rows)),
    )
    add(
        '--rnn',
        nargs='+',
        metavar='CELL',
        choices=[*CELLS, 'all'],
        default=[],
        help='train the row rnn with each of these cells: {}, or all (default: birnn, as '
        'published)'.format(', '.join(CELLS)),
    )
    add('--seeds', type=int, default=3, metavar='N', help='seeds 0 to N - 1 (default: %(default)s)')
    add('--data', required=True, metavar='DIR', help='the data set folder')
    add(
        '--data-224',
        metavar='DIR',
        help='the same photographs at 224x224 pixels, for the transfer learning rows (default: '
        'those of --data, and the records say so)',
    )
    options.add_engine(parser)
    options.add_backend(parser)
    options.add_precision(parser)
    add(
        '-z',
        '--batch_size',
        type=int,
        default=published.BATCH_SIZE,
        metavar='N',
        help='default: %(default)s, as published',
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '-e', '--epochs', type=int, metavar='N', help='for all rows (default: as published)'
    )
    length.add_argument(
        '--epochs-scale',
        type=float,
        default=1.0,
        metavar='X',
        help="train this part of each row's published epochs (default: all)",
    )
    add(
        '--pretrained',
        metavar='FILE',
        help="weights for the transfer learning rows; 'none' trains them from random ones",
    )
    add(
        '--neon-python',
        default=os.environ.get('NEON_PYTHON'),
        metavar='FILE',
        help='a Python that has Intel neon 2.6, for the engine neon (default: $NEON_PYTHON, else '
        'the container)',
    )
    add('--plan', action='store_true', help='show what there is to do and the time, and end')
    options.add_out(
        parser, os.path.dirname(paths.in_home(paths.OWN_RUNS)), 'for runs/ and the table'
    )


def run(arguments):
    """Plan, train, regenerate the table.

    Raises
    ------
    NeonRnnError
        A row failed or could not be trained; names each.
    """
    from pathlib import Path

    from neon_rnn import report, reproduce  # modern Python, which the container does not have

    _check_numbers(arguments)
    engine = arguments.engine or engines.default()
    program = _program(engine, arguments.neon_python)
    streams.go_on_without_output()
    runs = os.path.join(arguments.out, 'runs')
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
        rnn=list(CELLS) if 'all' in arguments.rnn else list(dict.fromkeys(arguments.rnn)),
    )
    jobs = reproduce.plan(settings)
    print(reproduce.summary(jobs), flush=True)
    if arguments.plan:
        return
    report.check_matplotlib()  # the table is made at the very end
    try:
        outcomes = reproduce.execute(jobs, Path(arguments.out) / 'logs', program)
    except KeyboardInterrupt:
        sys.stderr.write('\nThe same command goes on from the last checkpoint.\n')
        raise
    if os.path.isdir(runs):
        table.write_beside_published(runs, arguments.out)
    lacking = [
        '{}: {}'.format(outcome.job.name, outcome.text) for outcome in outcomes if outcome.failed
    ]
    lacking += [
        '{}: {}'.format(job.name, job.reason)
        for job in jobs
        if job.state == 'cannot' or job.reason == 'diverged'
    ]
    if lacking:
        raise NeonRnnError(
            '{} of {} runs are missing: {}'.format(len(lacking), len(jobs), '; '.join(lacking))
        )


def _check_numbers(arguments):
    for name in ('seeds', 'epochs', 'batch_size', 'epochs_scale'):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(
                '--{} is {}; it has to be a number above 0.'.format(
                    'epochs-scale' if name == 'epochs_scale' else name, value
                )
            )


def _program(engine, neon_python):
    """Return the words that run ``neon_rnn`` with an engine: here, in another Python, or in the
    container.
    """
    if engines.installed(engine):
        return processes.package_command()
    if engine != 'neon':
        engines.load(engine)  # says what is missing
    if neon_python:
        processes.check_program(neon_python, '--neon-python')
        return processes.package_command(neon_python)
    return [processes.container_script()]
