"""Go on with a run after an interruption, from its last checkpoint and with its settings.

neon_rnn resume results/own/runs/<run id>          after Ctrl-C, a kill or a power cut
neon_rnn resume results/own/runs/<run id> -e 120   train on after the last epoch
"""

from neon_rnn import training
from neon_rnn.commands import options
from neon_rnn.support import streams
from neon_rnn.training import ranks

#: The options beside the run, by the names that `go_on` gives them.
OPTIONS = ('epochs', 'data', 'engine', 'backend', 'tensorboard')


def add_arguments(parser):
    """Add the run and what may differ from its settings."""
    parser.add_argument('run', metavar='RUN', help='a run folder with its checkpoint')
    parser.add_argument(
        '-e', '--epochs', type=int, metavar='N', help='train to N epochs (default: as first asked)'
    )
    parser.add_argument(
        '--data', metavar='DIR', help='the data set folder, if it has moved; it must be the same'
    )
    options.add_engine(parser, trained=True)
    options.add_backend(parser, default=None)
    options.add_tensorboard(parser)


def run(arguments):
    """Train to the end, and name the folder of the results."""
    streams.go_on_without_output()
    ranks.silence_others()
    go_on(arguments.run, **{name: getattr(arguments, name) for name in OPTIONS})


def go_on(folder, tensorboard=None, **changes):
    """Resume a run and say where its results are."""
    with options.curves(tensorboard) as callback:
        finished = training.resume(folder, callback=callback, **changes)
    print('\nrecord and checkpoint: {}'.format(finished.folder))
