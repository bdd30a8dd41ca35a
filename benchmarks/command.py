"""Measure speed against Intel neon, plain PyTorch and the limits of the machine.

    ./run.sh bench                                       every part, some minutes
    ./run.sh bench --parts train --seconds 60            training only, with narrower spreads
    ./run.sh bench --neon-python /opt/neon/py36/bin/python

Variants run in processes of their own and take turns of equal time, so that a busy machine slows
all of them alike.
"""

import argparse
import os

from benchmarks.lineup import PEERS
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
        '--peers-python',
        default=os.environ.get('PEERS_PYTHON'),
        metavar='FILE',
        help='a Python that has benchmarks/peers.txt (default: $PEERS_PYTHON, else this one)',
    )
    parser.add_argument(
        '--peers',
        default=','.join(PEERS),
        metavar='LIST',
        help='any of {}, with commas, or none (default: all that are installed)'.format(
            ', '.join(PEERS)
        ),
    )
    parser.add_argument(
        '--rnn', metavar='CELL', help='the cells of the network rnn (default: as published)'
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
    parts = listed('parts', arguments.parts, PARTS)
    peers = () if arguments.peers == 'none' else listed('peers', arguments.peers, PEERS)
    for name in ('batch_size', 'side', 'threads', 'seconds'):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise UsageError('--{} is {}; it has to be positive.'.format(name, value))
    if arguments.busy < 0:
        raise UsageError('--busy is {}; it has to be 0 or more.'.format(arguments.busy))
    for option in ('neon_python', 'peers_python'):
        if getattr(arguments, option):
            name = '--' + option.replace('_', '-')
            processes.check_program(getattr(arguments, option), name)
    models.builder(arguments.model)
    if arguments.rnn and arguments.model != 'rnn':
        raise UsageError('--rnn is for the network rnn, not for {}.'.format(arguments.model))
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
        arguments.neon_python,
        arguments.busy,
        arguments.peers_python,
        peers,
        {'rnn': arguments.rnn} if arguments.rnn else {},
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


def listed(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a list with commas, in the order of `known`.

    Raises
    ------
    UsageError
        There is another word; names the option.
    """
    words = text.split(',')
    unknown = sorted(set(words) - set(known))
    if unknown:
        raise UsageError(
            '--{}: there is no {}; the {} are {}.'.format(
                option, ', '.join(unknown), option, ', '.join(known)
            )
        )
    return tuple(word for word in known if word in words)
