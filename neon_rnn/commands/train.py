"""Train one network and write its run record.

neon_rnn train --model rnn --data data/faces -e 10          as published, but 10 epochs
neon_rnn resume results/own/runs/<run id>                       go on after an interruption
torchrun --nproc-per-node 2 -m neon_rnn train ...           in several processes (docs/scaling.md)
"""

import argparse

from neon_rnn import engines, models, published, training
from neon_rnn.commands import options, resume
from neon_rnn.models.rnn import CELLS, check_cell
from neon_rnn.support import paths, streams
from neon_rnn.support.errors import UsageError
from neon_rnn.training import ranks
from neon_rnn.weights import pretrained


def add_arguments(parser):
    """Add the settings of a training, by neon's letters where neon has one."""
    add = parser.add_argument
    names = ', '.join(models.ROWS), ', '.join(models.EXTRAS)
    add('--model', metavar='NAME', help='one of: {}; beside the published rows: {}'.format(*names))
    add('--data', metavar='DIR', help="a data set folder, made by 'neon_rnn data'")
    options.add_engine(parser)
    options.add_backend(parser)
    add(
        '-z',
        '--batch_size',
        type=int,
        default=published.BATCH_SIZE,
        metavar='N',
        help='images a minibatch (default: %(default)s, as published)',
    )
    add('-e', '--epochs', type=int, metavar='N', help='default: as published for the row')
    add(
        '-r',
        '--rng_seed',
        type=int,
        default=0,
        metavar='N',
        help='seed of weights, order and dropout (default: %(default)s)',
    )
    add(
        '--no-shuffle',
        dest='shuffle',
        action='store_false',
        help='keep the order of the file in every epoch',
    )
    options.add_precision(parser)
    add(
        '--threads',
        type=int,
        metavar='N',
        help='processor threads (default: all cores that are free)',
    )
    add(
        '--deterministic',
        action='store_true',
        help='use only kernels that give the same result every time',
    )
    add(
        '--rnn',
        metavar='CELL',
        choices=CELLS,
        help='cells of the network rnn: {} (default: birnn, as published)'.format(', '.join(CELLS)),
    )
    add(
        '--rnn_depth',
        type=int,
        metavar='N',
        help='layers of a step of deep cells, networks of stacked ones (default: 2)',
    )
    add(
        '--pretrained',
        metavar='FILE',
        help='weights that a transfer learning row starts from: .pth, .pt, .bin, .ckpt, '
        ".safetensors, .prm or .npz; 'none' starts from random ones",
    )
    add(
        '--eval_freq',
        type=int,
        default=1,
        metavar='N',
        help='test accuracy every N epochs and after the last (default: %(default)s)',
    )
    add(
        '--serialize',
        type=int,
        default=1,
        metavar='N',
        help='a checkpoint every N epochs and after the last (default: %(default)s)',
    )
    add(
        '--learning_rate',
        type=float,
        default=published.LEARNING_RATE,
        metavar='X',
        help='default: %(default)s, as published',
    )
    add(
        '--momentum',
        dest='momentum_coef',
        type=float,
        default=published.MOMENTUM_COEF,
        metavar='X',
        help='default: %(default)s, as published',
    )
    add(
        '--wdecay',
        type=float,
        default=published.WDECAY,
        metavar='X',
        help='weight decay (default: %(default)s, as published)',
    )
    add(
        '--schedule',
        type=int,
        nargs='+',
        default=[],
        metavar='STEP',
        help='multiply the learning rate by 0.1 after each of these numbers of epochs',
    )
    add(
        '--augment',
        metavar='KIND,KIND',
        help='torch engine: change the training images at random: flip (left to right), crop (a '
        'shift by up to 1/16)',
    )
    add(
        '--class_weights',
        choices=('balanced',),
        help='torch engine: balanced lets each class count the same in the cost',
    )
    add(
        '--keep_best',
        action='store_true',
        help='the result is the best epoch by the validation part, never by the test part',
    )
    add(
        '--patience',
        type=int,
        metavar='N',
        help='stop after N epochs without a better one on the validation part; means --keep_best',
    )
    options.add_out(parser, paths.in_home(paths.OWN_RUNS), 'for the run folders')
    options.add_tensorboard(parser)
    add('--run_id', metavar='NAME', help='name of the run and its folder (default: a new one)')
    add('--resume', metavar='RUN', help="go on with this run; the same as 'neon_rnn resume RUN'")


def run(arguments):
    """Train, and name the folder of the results."""
    streams.go_on_without_output()
    ranks.silence_others()
    if arguments.resume:
        resume.go_on(arguments.resume, **_given_beside_resume(arguments.argv[1:]))
        return
    settings, source = settings_from(arguments)
    with options.curves(arguments.tensorboard) as callback:
        finished = training.train(
            settings, arguments.out, source, arguments.argv, arguments.run_id or None, callback
        )
    print('\nrecord and checkpoint: {}'.format(finished.folder))


#: Options whose names differ from those of the settings.
_SPELLED = {'shuffle': '--no-shuffle', 'momentum_coef': '--momentum'}


def _given_beside_resume(argv):
    """Return the options given beside ``--resume``.

    Raises
    ------
    UsageError
        One of them belongs to a new training; it would have no effect.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    # Without defaults, every value that is not None was given.
    parser.set_defaults(**dict.fromkeys(vars(parser.parse_args([])), None))
    given = vars(parser.parse_args(argv))
    given = {name: value for name, value in given.items() if value is not None and name != 'resume'}
    others = [
        _SPELLED.get(name, '--' + name) for name in sorted(given) if name not in resume.OPTIONS
    ]
    if others:
        raise UsageError(
            '--resume goes on with the settings of the run; {} cannot be given beside it, only -e '
            'and --data.'.format(', '.join(others))
        )
    return given


def settings_from(arguments):
    """Return the settings that the command line asks for, and the pretrained weights or None."""
    for name in ('model', 'data'):
        if not getattr(arguments, name):
            raise UsageError('--{} is needed (or --resume RUN).'.format(name))
    models.builder(arguments.model)
    source = pretrained.for_training(arguments.model, arguments.pretrained)
    network = dict(source.options, pretrained=source.description) if source else {}
    if arguments.rnn is not None:
        if arguments.model != 'rnn':
            raise UsageError(
                '--rnn chooses the cells of the network rnn; {} has none.'.format(arguments.model)
            )
        network['rnn'] = arguments.rnn
    if arguments.rnn_depth is not None:
        if arguments.rnn is None:
            raise UsageError('--rnn_depth is that of the cells that --rnn names.')
        check_cell(arguments.rnn, arguments.rnn_depth)
        network['rnn_depth'] = arguments.rnn_depth
    settings = training.Settings(
        model=arguments.model,
        options=network,
        data=arguments.data,
        engine=arguments.engine or engines.default(),
        backend=arguments.backend,
        batch_size=arguments.batch_size,
        epochs=training.epochs_of(arguments.model, arguments.epochs),
        seed=arguments.rng_seed,
        shuffle=arguments.shuffle,
        precision=arguments.precision,
        threads=arguments.threads,
        deterministic=arguments.deterministic,
        eval_freq=arguments.eval_freq,
        serialize=arguments.serialize,
        learning_rate=arguments.learning_rate,
        momentum_coef=arguments.momentum_coef,
        wdecay=arguments.wdecay,
        schedule=tuple(arguments.schedule),
        augment=tuple(arguments.augment.split(',')) if arguments.augment else (),
        class_weights=arguments.class_weights,
        keep_best=arguments.keep_best or arguments.patience is not None,
        patience=arguments.patience,
    )
    return settings, source
