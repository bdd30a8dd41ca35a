"""Train one network and write its run record.

neon_rnn train --model rnn --data data/faces -e 10          as published, but 10 epochs
neon_rnn train --resume results/runs/<run id>               go on after an interruption
torchrun --nproc-per-node 2 -m neon_rnn train ...           in several processes (docs/scaling.md)
"""

import argparse

from neon_rnn import engines, models, published, training
from neon_rnn.models.rnn import CELLS
from neon_rnn.support import paths
from neon_rnn.support.errors import UsageError
from neon_rnn.support.wording import counted
from neon_rnn.training import ranks
from neon_rnn.weights import pretrained


def add_arguments(parser):
    """neon's letters where it has them."""
    parser.add_argument(
        '--model',
        metavar='NAME',
        help='one of: {}; beside the published rows: {}'.format(
            ', '.join(models.ROWS), ', '.join(models.EXTRAS)
        ),
    )
    parser.add_argument(
        '--data', metavar='DIR', help="a data set folder ('neon_rnn data' makes them)"
    )
    parser.add_argument(
        '--engine', choices=engines.ENGINES, help='default: neon where it is installed, else torch'
    )
    parser.add_argument(
        '-b',
        '--backend',
        default='cpu',
        choices=('gpu', 'cpu', 'mkl', 'numpy'),
        help="default: cpu, the fast path of the processor; numpy is neon's reference backend",
    )
    parser.add_argument(
        '-z',
        '--batch_size',
        type=int,
        default=published.BATCH_SIZE,
        metavar='N',
        help='images a minibatch (default: %(default)s, as published)',
    )
    parser.add_argument(
        '-e', '--epochs', type=int, metavar='N', help='default: as published for the row'
    )
    parser.add_argument(
        '-r',
        '--rng_seed',
        type=int,
        default=0,
        metavar='N',
        help='seed of weights, order and dropout (default: %(default)s)',
    )
    parser.add_argument(
        '--no-shuffle',
        dest='shuffle',
        action='store_false',
        help="keep the file's order in every epoch",
    )
    parser.add_argument(
        '--precision',
        default='float32',
        choices=('float32', 'float64', 'bf16', 'tf32'),
        help='torch engine: bf16 multiplies in bfloat16 with float32 weights, tf32 (on a GPU) in '
        'TensorFloat-32 (default: %(default)s)',
    )
    parser.add_argument(
        '--threads', type=int, metavar='N', help='processor threads (default: all cores)'
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='only kernels that give the same result every time',
    )
    parser.add_argument(
        '--rnn',
        metavar='CELL',
        choices=CELLS,
        help='cells of the network rnn: {} (default: birnn, as published)'.format(', '.join(CELLS)),
    )
    parser.add_argument(
        '--pretrained',
        metavar='FILE',
        help='weights that a transfer learning row starts from: .pth, '
        ".safetensors, .prm or .npz; 'none' starts from random ones",
    )
    parser.add_argument(
        '--eval_freq',
        type=int,
        default=1,
        metavar='N',
        help='test accuracy every N epochs and after the last (default: %(default)s)',
    )
    parser.add_argument(
        '--serialize',
        type=int,
        default=1,
        metavar='N',
        help='a checkpoint every N epochs and after the last (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        default=paths.in_home('results/runs'),
        metavar='FOLDER',
        help='for the run folders (default: %(default)s)',
    )
    parser.add_argument(
        '--resume',
        metavar='RUN',
        help='go on from the checkpoint of this run folder, with its settings',
    )


def run(arguments):
    """Train, and say where the results are."""
    ranks.silence_others()
    if arguments.resume:
        finished = training.resume(arguments.resume, **_given_beside_resume(arguments.argv[1:]))
    else:
        settings, source = settings_from(arguments)
        print(_announcement(settings))
        finished = training.train(settings, arguments.out, source, arguments.argv)
    print('\nrecord and checkpoint: {}'.format(finished.folder))


def _given_beside_resume(argv):
    """The options that go with --resume; any other would be left unheard, and is refused.

    The engine and the backend may be named, as the container's entry point does, but have to be those of the run.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.set_defaults(
        **dict.fromkeys(vars(parser.parse_args([])), None)
    )  # so that what is not None was given
    given = {
        name: value
        for name, value in vars(parser.parse_args(argv)).items()
        if value is not None and name != 'resume'
    }
    heard = ('epochs', 'data', 'engine', 'backend')
    others = [
        '--no-shuffle' if name == 'shuffle' else '--' + name
        for name in sorted(given)
        if name not in heard
    ]
    if others:
        raise UsageError(
            '--resume goes on with the settings of the run; {} cannot be given beside it, only -e and '
            '--data.'.format(', '.join(others))
        )
    return given


def settings_from(arguments):
    """The settings that the command line asks for, and the pretrained weights to start from (or None)."""
    for name in ('model', 'data'):
        if not getattr(arguments, name):
            raise UsageError('--{} is needed (or --resume RUN).'.format(name))
    models.builder(arguments.model)
    source = pretrained.for_training(arguments.model, arguments.pretrained)
    options = dict(source.options, pretrained=source.description) if source else {}
    if arguments.rnn is not None:
        if arguments.model != 'rnn':
            raise UsageError(
                '--rnn chooses the cells of the network rnn; {} has none.'.format(arguments.model)
            )
        options['rnn'] = arguments.rnn
    settings = training.Settings(
        model=arguments.model,
        options=options,
        data=arguments.data,
        engine=arguments.engine or engines.default(),
        backend=arguments.backend,
        batch_size=arguments.batch_size,
        epochs=_epochs(arguments),
        seed=arguments.rng_seed,
        shuffle=arguments.shuffle,
        precision=arguments.precision,
        threads=arguments.threads,
        deterministic=arguments.deterministic,
        eval_freq=arguments.eval_freq,
        serialize=arguments.serialize,
    )
    return settings, source


def _epochs(arguments):
    """As asked for, or as published."""
    row = published.rows().get(arguments.model)
    if arguments.epochs is None and row is None:
        raise UsageError(
            '{} is no published row; say with -e how many epochs to train.'.format(arguments.model)
        )
    return row.epochs if arguments.epochs is None else arguments.epochs


def _announcement(settings):
    return (
        'training {0.model}: engine {0.engine}, backend {0.backend}, {0.precision}, data {0.data}, {epochs} '
        'of minibatches of {0.batch_size}, seed {0.seed}'.format(
            settings, epochs=counted(settings.epochs, 'epoch')
        )
    )
