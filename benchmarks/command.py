"""Measure speed against Intel neon, plain PyTorch and the limits of the machine.

    ./run.sh bench                                       every part, some minutes
    ./run.sh bench --parts train --seconds 60            training only, with narrower spreads
    ./run.sh bench --neon-python /opt/neon/py36/bin/python

Variants run in processes of their own and take turns of equal time, so that a busy machine slows
all of them alike.
"""

import argparse
import os

from neon_rnn import engines, models
from neon_rnn import report as reports
from neon_rnn.support import paths, processes
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import check_writable, make_folder, write_json, write_text

PARTS = ('train', 'predict', 'layers', 'loading', 'batches', 'sides')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: what to measure, for how long, and where to write the result."""
    parser.add_argument(
        '--model', default='rnn', metavar='NAME', help='the network (default: %(default)s)'
    )
    parser.add_argument(
        '-b', '--backend', default='cpu', choices=('cpu', 'gpu'), help='default: %(default)s'
    )
    parser.add_argument(
        '-z',
        '--batch_size',
        type=int,
        default=128,
        metavar='N',
        help='images a minibatch (default: %(default)s)',
    )
    parser.add_argument(
        '--side',
        type=int,
        default=128,
        metavar='PIXELS',
        help='of the images (default: %(default)s)',
    )
    parser.add_argument(
        '--threads', type=int, metavar='N', help='processor threads (default: all cores)'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=10,
        metavar='S',
        help='time for each variant and figure (default: %(default)s)',
    )
    parser.add_argument(
        '--busy',
        type=int,
        default=0,
        metavar='K',
        help='start K processes that compute beside, as other users do (default: %(default)s)',
    )
    parser.add_argument(
        '--parts',
        default=','.join(PARTS),
        metavar='LIST',
        help='any of {}, with commas (default: all)'.format(', '.join(PARTS)),
    )
    parser.add_argument(
        '--neon-python',
        default=os.environ.get('NEON_PYTHON'),
        metavar='FILE',
        help='a Python that has Intel neon 2.6, to measure it too (default: $NEON_PYTHON)',
    )
    parser.add_argument(
        '--out',
        default=paths.in_home('results/bench'),
        metavar='FOLDER',
        help='for bench.json, bench.md and bench.svg (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, write and print the result; return 1 if a variant failed.

    Raises
    ------
    UsageError
        An option is invalid, or PyTorch is missing.
    """
    parts = tuple(part for part in PARTS if part in arguments.parts.split(','))
    unknown = sorted(set(arguments.parts.split(',')) - set(PARTS))
    if unknown:
        raise UsageError(
            '--parts: there is no {}; the parts are {}.'.format(
                ', '.join(unknown), ', '.join(PARTS)
            )
        )
    for name in ('batch_size', 'side', 'threads', 'seconds'):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise UsageError('--{} is {}; it has to be positive.'.format(name, value))
    if arguments.busy < 0:
        raise UsageError('--busy is {}; it has to be 0 or more.'.format(arguments.busy))
    python = arguments.neon_python
    if python:
        processes.check_program(python, '--neon-python')
    models.builder(arguments.model)
    make_folder(arguments.out)
    check_writable(os.path.join(arguments.out, 'bench.json'))
    reports.check_matplotlib()
    engines.load('torch')

    # They import PyTorch, which `load` has found.
    from benchmarks import report, suite

    plan = suite.Plan(
        arguments.model,
        arguments.backend,
        arguments.batch_size,
        arguments.side,
        arguments.threads,
        arguments.seconds,
        python,
        arguments.busy,
    )
    if not python:
        print(
            'Intel neon is not measured: name a Python that has it with --neon-python or '
            'NEON_PYTHON.\n'
        )
    figures = suite.run(plan, parts)
    text = report.markdown(figures)
    write_json(os.path.join(arguments.out, 'bench.json'), figures)
    write_text(os.path.join(arguments.out, 'bench.md'), text)
    print(text)
    print('written to {}'.format(arguments.out))
    if 'train' in parts:
        write_text(os.path.join(arguments.out, 'bench.svg'), report.plot(figures))
    return 1 if suite.failures(figures) else 0
