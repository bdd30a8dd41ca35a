"""Make, look at and check data sets: 'neon_rnn data SOURCE ...'."""

import argparse
import collections
import importlib

SOURCES = collections.OrderedDict(
    [
        ('folder', 'photographs in one sub-folder for each class'),
        ('csv', 'photographs whose labels stand in a CSV file'),
        ('imdb-wiki', 'IMDB-WIKI, downloaded or as it was'),
        ('utkface', 'UTKFace'),
        ('lfw', 'Labeled Faces in the Wild'),
        ('celeba', 'CelebA, with its own split'),
        ('adience', 'Adience, one of its five folds for testing'),
        ('fairface', 'FairFace, with its own split'),
        ('demo', 'draw synthetic portraits'),
        (
            'verify',
            'say whether a data set is sound: files, counts, duplicates and people across the '
            'split',
        ),
        ('show', 'print what a data set holds and write a contact sheet'),
    ]
)

#: The modules of what is no source.
TOOLS = {'verify': 'soundness', 'show': 'show'}


def add_arguments(parser):
    """Add the source or tool; what follows it is parsed by its own module."""
    width = max(map(len, SOURCES))
    parser.epilog = 'sources and tools:\n' + '\n'.join(
        '  {}  {}'.format(name.ljust(width), text) for name, text in SOURCES.items()
    )
    parser.add_argument(
        'source', metavar='SOURCE', choices=list(SOURCES), help='one of those below'
    )
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='...', help='what it takes: SOURCE --help'
    )


def run(arguments):
    """Hand over to the chosen source or tool."""
    name = TOOLS.get(arguments.source) or 'sources.' + arguments.source.replace('-', '_')
    module = importlib.import_module('neon_rnn.ingest.' + name)
    parser = argparse.ArgumentParser(
        prog='neon_rnn data ' + arguments.source,
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments.arguments))
