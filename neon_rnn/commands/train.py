"""Train one network and write its run record.

    neon_rnn train --model rnn --data data/faces -e 10          as published, but 10 epochs
    neon_rnn train --resume results/runs/<run id>               go on after an interruption
    torchrun --nproc-per-node 2 -m neon_rnn train ...           in several processes (docs/scaling.md)
"""
from neon_rnn import engines, models, paths, published, ranks, training
from neon_rnn.errors import UsageError


def add_arguments(parser):
    """neon's letters where it has them."""
    parser.add_argument('--model', metavar='NAME', help='one of: ' + ', '.join(models.ROWS))
    parser.add_argument('--data', metavar='DIR', help="a data set folder ('neon_rnn data' makes them)")
    parser.add_argument('--engine', choices=engines.ENGINES, help='default: neon where it is installed, else torch')
    parser.add_argument('-b', '--backend', default='cpu', choices=('gpu', 'cpu', 'mkl', 'numpy'),
                        help="default: cpu, the fast path of the processor; numpy is neon's reference backend")
    parser.add_argument('-z', '--batch_size', type=int, default=published.BATCH_SIZE, metavar='N',
                        help='images a minibatch (default: %(default)s, as published)')
    parser.add_argument('-e', '--epochs', type=int, metavar='N', help='default: as published for the row')
    parser.add_argument('-r', '--rng_seed', type=int, default=0, metavar='N',
                        help='seed of weights, order and dropout (default: %(default)s)')
    parser.add_argument('--no-shuffle', dest='shuffle', action='store_false',
                        help="keep the file's order in every epoch")
    parser.add_argument('--precision', default='float32', choices=('float32', 'float64', 'bf16', 'tf32'),
                        help='torch engine: bf16 multiplies in bfloat16 with float32 weights, tf32 (on a GPU) in '
                             'TensorFloat-32 (default: %(default)s)')
    parser.add_argument('--threads', type=int, metavar='N', help='processor threads (default: all cores)')
    parser.add_argument('--deterministic', action='store_true',
                        help='only kernels that give the same result every time')
    parser.add_argument('--eval_freq', type=int, default=1, metavar='N',
                        help='test accuracy every N epochs and after the last (default: %(default)s)')
    parser.add_argument('--serialize', type=int, default=1, metavar='N',
                        help='a checkpoint every N epochs and after the last (default: %(default)s)')
    parser.add_argument('--out', default=paths.default('results/runs'), metavar='FOLDER',
                        help='for the run folders (default: %(default)s)')
    parser.add_argument('--resume', metavar='RUN',
                        help='go on from the checkpoint of this run folder, with its settings')


def run(arguments):
    """Train, and say where the results are."""
    ranks.silence_others()
    if arguments.resume:
        finished = training.resume(arguments.resume, arguments.epochs, arguments.data)
    else:
        settings = settings_from(arguments)
        print(_announcement(settings))
        finished = training.train(settings, arguments.out)
    print('\nrecord and checkpoint: {}'.format(finished.folder))


def settings_from(arguments):
    """The settings that the command line asks for."""
    for name in ('model', 'data'):
        if not getattr(arguments, name):
            raise UsageError('--{} is needed (or --resume RUN).'.format(name))
    models.builder(arguments.model)
    rows = published.rows()
    return training.Settings(
        model=arguments.model, options={}, data=arguments.data, engine=arguments.engine or engines.default(),
        backend=arguments.backend, batch_size=arguments.batch_size,
        epochs=arguments.epochs if arguments.epochs is not None else rows[arguments.model].epochs,
        seed=arguments.rng_seed, shuffle=arguments.shuffle, precision=arguments.precision, threads=arguments.threads,
        deterministic=arguments.deterministic, eval_freq=arguments.eval_freq, serialize=arguments.serialize)


def _announcement(settings):
    return ('training {0.model}: engine {0.engine}, backend {0.backend}, {0.precision}, data {0.data}, {0.epochs} '
            'epochs of minibatches of {0.batch_size}, seed {0.seed}'.format(settings))
