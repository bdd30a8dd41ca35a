"""The classes of an import: the option ``--classes``, and the order of the class indices."""

import argparse
from collections.abc import Sequence

from neon_rnn.data.class_names import FEMALE, MALE
from neon_rnn.support.errors import UsageError


def add_option(parser: argparse.ArgumentParser, nouns: str) -> None:
    """Add ``--classes``, a list of names; `nouns` says what these are, such as labels."""
    parser.add_argument(
        '--classes',
        metavar='A,B',
        type=lambda text: [name.strip() for name in text.split(',')] if text else None,
        help=f'the {nouns} to use, in the order of the class indices '
        '(default: all; 0 female, 1 male if so named, else sorted)',
    )


def choose(names: list[str], classes: Sequence[str] | None, noun: str, place: object) -> list[str]:
    """Return the classes to use, in the order of the class indices.

    Parameters
    ----------
    names : list of str
        What there is, sorted.
    classes : sequence of str, optional
        What was asked for; default: all, female before male.
    noun, place
        What a name is, such as ``'sub-folder'``, and where it was looked for; for the error.

    Raises
    ------
    UsageError
        A class is not there, or is named twice.
    """
    for position, name in enumerate(classes or ()):
        if name not in names or name in (classes or ())[:position]:
            problem = 'named twice' if name in names else f'not a {noun}'
            raise UsageError(
                f'--classes {",".join(classes or ())}: {name!r} is {problem} of {place}, which has '
                f'{", ".join(names) or "none"}.'
            )
    return list(classes or _female_first(names))


def _female_first(names: list[str]) -> list[str]:
    """Return female before male, the project's coding, if two classes have such names."""
    if len(names) == 2:
        first, second = (name.casefold() for name in names)
        if first in MALE and second in FEMALE:
            return [names[1], names[0]]
    return names
