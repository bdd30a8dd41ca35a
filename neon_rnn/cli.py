"""The command line: a table of commands, each imported only when it is called.

A command ``NAME`` lives in ``neon_rnn/commands/NAME.py``: ``add_arguments(parser)`` and
``run(arguments)``.
"""

import argparse
import collections
import importlib
import os
import sys

from neon_rnn import __version__
from neon_rnn.support.errors import NeonRnnError

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
        description='The recurrent gender classifier of 2018 on Intel neon 2.6, and on PyTorch with '
        'its arithmetic.',
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
    """Run a command; returns the exit status (0, 1 for a failure, 2 for wrong usage, 130 after
    Ctrl-C).
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv:
        _parser().print_help()
        return 2
    chosen = _parser().parse_args(argv[:1]) if argv[0].startswith('-') else None
    name = argv[0] if chosen is None else chosen.command
    if name not in COMMANDS:
        _parser().error(
            'there is no command {!r}; the commands are {}'.format(name, ', '.join(COMMANDS))
        )
    return call('neon_rnn.commands.' + name, 'neon_rnn ' + name, argv)


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
    try:
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
    except NeonRnnError as error:
        sys.stderr.write('{}: error: {}\n'.format(program, error))
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write('{}: interrupted\n'.format(program))
        return 130
    except BrokenPipeError:  # whoever read the output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
