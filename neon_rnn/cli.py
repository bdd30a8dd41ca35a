"""The command line: a table of commands, each imported only when it is called.

A command ``NAME`` lives in ``neon_rnn/commands/NAME.py``: ``add_arguments(parser)`` and
``run(arguments)``.
"""

import argparse
import collections
import importlib
import sys

from neon_rnn import __version__
from neon_rnn.support import processes, streams, system
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import one_line

COMMANDS = collections.OrderedDict(
    [
        (
            'demo',
            'the whole path once: demo data, the recurrent network for a few epochs, evaluation, '
            'table',
        ),
        ('reproduce', 'train the rows of the published table, one process each, and regenerate it'),
        ('data', 'make, look at and check data sets'),
        ('train', 'train one network and write its run record'),
        ('resume', 'go on with a run after an interruption'),
        ('evaluate', 'measure a trained run on a data set'),
        ('predict', 'classify photographs with a trained run'),
        ('explain', 'draw where the answers to photographs come from, and what the sweeps carry'),
        ('serve', 'classify and explain photographs on a page in the browser, on this machine'),
        ('export', 'write a trained run as ONNX, safetensors or a PyTorch state dict'),
        ('table', 'regenerate the comparison table, the plots and the page from the run records'),
        ('verify', 'replay results recorded from Intel neon and print the deviations'),
        ('convert', "turn checkpoints into neon's own serialised files and back"),
        ('doctor', 'say what this machine can run, what is missing, and how to get it'),
    ]
)


def _parser():
    width = max(len(name) for name in COMMANDS)
    listing = '\n'.join(
        '  {}  {}'.format(name.ljust(width), text) for name, text in COMMANDS.items()
    )
    parser = argparse.ArgumentParser(
        prog='neon_rnn',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='The recurrent gender classifier of 2018 on Intel neon 2.6, and on PyTorch '
        'with its arithmetic.',
        epilog="commands:\n{}\n\n'neon_rnn COMMAND --help' explains a command.".format(listing),
    )
    parser.add_argument('--version', action='version', version='neon_rnn ' + __version__)
    parser.add_argument(
        'command', metavar='COMMAND', choices=list(COMMANDS), help='one of those below'
    )
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='...', help='what the command takes'
    )
    return parser


def main(argv=None):
    """Run a command.

    Returns
    -------
    int
        The exit status: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in COMMANDS:
        return call('neon_rnn.commands.' + argv[0], 'neon_rnn ' + argv[0], argv)
    with streams.guarded():
        return _ended('neon_rnn', lambda: _without_command(argv))


def program():
    """Run a command as a program, which ends with it; see `main`."""
    status = main()
    processes.end_soon()
    return status


def _without_command(argv):
    """Print the help or the version, or refuse a word that is not a command."""
    parser = _parser()
    if not argv:
        parser.print_help()
        return 2
    if not argv[0].startswith('-'):
        parser.error(
            'there is no command {!r}; the commands are {}'.format(argv[0], ', '.join(COMMANDS))
        )
    parser.parse_args(argv[:1])
    return 0


def call(module, program, argv):
    """Run one command and turn errors that a user can understand into one line.

    Parameters
    ----------
    module : str
        Has ``add_arguments(parser)`` and ``run(arguments)``; its docstring is the help.
    program : str
        What messages call the command, such as ``'neon_rnn train'``.
    argv : list of str
        The command's name and its arguments; ``arguments.argv`` keeps them for the record.

    Returns
    -------
    int
        The exit status.
    """

    def run():
        system.check()
        command = importlib.import_module(module)
        parser = argparse.ArgumentParser(
            prog=program,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(parser)
        arguments = parser.parse_args(argv[1:])
        arguments.argv = argv
        return command.run(arguments) or 0

    with streams.guarded():
        return _ended(program, run)


def _ended(program, run):
    """Return the exit status of a function that prints; its errors become one line."""
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except NeonRnnError as error:
        return _say(program, 'error: {}'.format(error), error.exit_status)
    except KeyboardInterrupt:
        return _say(program, 'interrupted', 130)
    except BrokenPipeError:  # the reader of the output, `head` say, has seen enough
        streams.discard(sys.stdout)
        return 141


def _say(program, text, status):
    """Print one line on standard error and return the exit status."""
    sys.stderr.write('{}: {}\n'.format(program, one_line(text)))
    return status
