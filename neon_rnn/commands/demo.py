"""Run the whole path once on synthetic portraits: data, a few epochs of the recurrent network,
evaluation, table.

'./run.sh' without arguments does this. Everything it makes says that its data are synthetic: it
shows that the machinery works, and reproduces no accuracy.
"""

import os
import shlex
import subprocess

from neon_rnn import engines, published, training
from neon_rnn.commands import evaluate, options, table
from neon_rnn.runs.run_id import unused_run_id
from neon_rnn.support import paths, processes, streams
from neon_rnn.support.errors import NeonRnnError, UsageError

#: Enough to learn the portraits: the running statistics of neon's batch norm need 25 minibatches.
EPOCHS = 5


def add_arguments(parser):
    """Add a few choices; the other commands have the rest."""
    add = parser.add_argument
    add('--data', default=paths.in_home('data/demo'), metavar='DIR', help='default: %(default)s')
    options.add_engine(parser)
    options.add_backend(parser)
    add('-e', '--epochs', type=int, default=EPOCHS, metavar='N', help='default: %(default)s')
    add('-r', '--rng_seed', type=int, default=0, metavar='N', help='default: %(default)s')
    options.add_out(parser, os.path.dirname(paths.in_home(paths.OWN_RUNS)), 'for runs and table')


def run(arguments):
    """Do the steps one after another; show each as a user would type it."""
    streams.go_on_without_output()
    runs = os.path.join(arguments.out, 'runs')
    engine = arguments.engine or engines.default()
    container = engine == 'neon' and not engines.installed('neon')
    backend = engines.recorded_backend(engine, arguments.backend)
    run_id = unused_run_id(runs, 'rnn', engine, backend, arguments.rng_seed)
    folder = os.path.join(runs, run_id)
    choice = ['--engine', arguments.engine] if arguments.engine else []
    choice += ['-b', arguments.backend]

    if not os.path.exists(os.path.join(arguments.data, 'dataset.json')):
        _show('data', 'demo', '--out', arguments.data)
        _make_data(arguments.data)

    words = ['train', '--model', 'rnn', '--data', arguments.data] + choice
    words += ['-e', str(arguments.epochs), '-r', str(arguments.rng_seed)]
    words += ['--out', runs, '--run_id', run_id]
    _show(*words)
    if container:
        _run_in_container(words)
    else:
        settings = training.Settings.of(
            model='rnn',
            options={},
            data=arguments.data,
            engine=engine,
            backend=arguments.backend,
            batch_size=published.BATCH_SIZE,
            epochs=arguments.epochs,
            seed=arguments.rng_seed,
        )
        training.train(settings, runs, argv=words, run_id=run_id)

    words = ['evaluate', folder] + choice + ['--json', os.path.join(folder, 'evaluation.json')]
    if container:  # which has no matplotlib
        _show(*words)
        _run_in_container(words)
    else:
        picture = os.path.join(folder, 'confusion.png')
        _show(*words + ['--png', picture])
        evaluate.measure(
            folder,
            engine=arguments.engine,
            backend=arguments.backend,
            json=os.path.join(folder, 'evaluation.json'),
            png=picture,
        )

    _show('table')
    table.write_beside_published(runs, arguments.out)
    print('\nThe table: {}'.format(os.path.join(arguments.out, 'TABLE.md')))
    return 0


def _show(*words):
    print('\n$ ./run.sh {}'.format(' '.join(map(shlex.quote, words))), flush=True)


def _make_data(folder):
    from neon_rnn.ingest.sources import demo  # modern Python, which the container does not have

    demo.make(folder)


def _run_in_container(words):
    """Run one command in neon's container.

    Raises
    ------
    UsageError, NeonRnnError
        It ended with status 2, or with another one.
    """
    status = subprocess.call([processes.container_script()] + words)
    if status == 130:
        raise KeyboardInterrupt
    if status:
        kind = UsageError if status == 2 else NeonRnnError  # the command has said why
        raise kind("'{}' ended with status {}.".format(words[0], status))
