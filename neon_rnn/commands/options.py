"""Options that several commands share, each with one wording."""

import contextlib
import importlib
import sys

from neon_rnn import engines
from neon_rnn.support.errors import UsageError

BACKENDS = ('gpu', 'mps', 'cpu', 'mkl', 'numpy')


def add_engine(parser, trained=False):
    """Add ``--engine``.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    trained : bool
        The command takes a trained run, whose engine is the default.
    """
    default = (
        'the one it was trained with, if installed' if trained else 'neon if installed, else torch'
    )
    parser.add_argument('--engine', choices=engines.ENGINES, help='default: {}'.format(default))


def add_backend(parser, default='cpu'):
    """Add ``-b``, neon's letter for the backend."""
    parser.add_argument(
        '-b',
        '--backend',
        default=default,
        choices=BACKENDS,
        help='gpu; cpu or mkl, the fast path of the processor; numpy, the reference backend of '
        'neon; mps, the GPU of Apple machines, torch engine, not tried by us (default: {})'.format(
            default or 'that of the run'
        ),
    )


def add_precision(parser):
    """Add ``--precision``, always float32 by default."""
    parser.add_argument(
        '--precision',
        default='float32',
        choices=('float32', 'float64', 'bf16', 'tf32'),
        help='torch engine: bf16 multiplies in bfloat16 with float32 weights, tf32 (on a GPU) in '
        'TensorFloat-32 (default: %(default)s)',
    )


def add_out(parser, default, text):
    """Add ``--out``, a folder; the default lies in the project folder.

    Parameters
    ----------
    default : str
        Relative to the project folder, as it can be typed from the working directory.
    text : str
        What the folder is for.
    """
    parser.add_argument(
        '--out', default=default, metavar='FOLDER', help='{} (default: %(default)s)'.format(text)
    )


def add_tensorboard(parser):
    """Add ``--tensorboard``; `curves` makes the callback of its value."""
    parser.add_argument(
        '--tensorboard',
        metavar='FOLDER',
        help='write curves and confusion matrix for TensorBoard there, epoch by epoch',
    )


def note_synthetic(kind):
    """Say that the answers of a run trained on synthetic portraits mean nothing, if it is one."""
    if kind == 'synthetic':
        sys.stderr.write(
            'note: this run was trained on synthetic portraits; its answers on photographs mean '
            'nothing\n'
        )


def modern(module, what):
    """Import a module of modern Python for an option or a command.

    Parameters
    ----------
    module : str
    what : str
        Who needs it, such as ``'--worst'``.

    Raises
    ------
    UsageError
        A package is missing, or this is the container of neon.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, SyntaxError) as error:  # CPython 3.5 cannot even parse the module
        raise UsageError(
            '{} needs Python 3.10 or newer and PyTorch, outside the container of neon ({}).'.format(
                what, error
            )
        )


@contextlib.contextmanager
def curves(folder):
    """Yield the callback of ``--tensorboard`` for a training, None if it was not given.

    Raises
    ------
    UsageError
        A package is missing, or this is the container of neon.
    NeonRnnError
        The folder cannot be written.
    """
    if not folder:
        yield None
        return
    try:
        module = importlib.import_module('neon_rnn.export.tensorboard')
    except (ImportError, SyntaxError) as error:  # CPython 3.5 cannot even parse the module
        raise UsageError(
            '--tensorboard needs Python 3.10 or newer, outside the container of neon ({}).'.format(
                error
            )
        )
    with module.curves(folder) as callback:
        yield callback
