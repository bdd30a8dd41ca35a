"""The settings of an import, and the command-line options that give them."""

import argparse
import dataclasses

from neon_rnn.data.images import Preprocessing
from neon_rnn.support.errors import UsageError
from neon_rnn.support.machine import cores


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """The choices of an import that do not depend on the source.

    Attributes
    ----------
    out : str
        The data set folder to make.
    size : int
        Height and width of the images in pixels.
    fit : str
        ``'crop'`` or ``'stretch'``, see `neon_rnn.data.images.Preprocessing`.
    centre : float
        The central share of each side to keep, 0.1 to 1.
    test_fraction : float
        Share of the photographs in the test part, between 0 and 1.
        Not used where the source fixes the parts.
    val_fraction : float
        Share of the photographs in the validation part; 0 makes none.
        Not used where the source fixes the parts.
    split : str
        ``'people'`` keeps all photographs of a person in one part.
        ``'photographs'`` ignores who is shown.
    balance : str or None
        ``'train'`` or ``'both'``: these parts get as many photographs of each class.
    keep_near_duplicates : bool
        Keep photographs that are near copies of others.
    seed : int
        Seed of the split, the balance and the order, in 0..2**32-1.
    workers : int
        Processes that decode.
    force : bool
        Replace a data set that is in `out`.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    out: str
    size: int = 128
    fit: str = 'crop'
    centre: float = 1.0
    test_fraction: float = 0.2
    val_fraction: float = 0.0
    split: str = 'people'
    balance: str | None = None
    keep_near_duplicates: bool = False
    seed: int = 0
    workers: int = dataclasses.field(default_factory=cores)
    force: bool = False

    def __post_init__(self) -> None:
        self.preprocessing()
        if not 0 < self.test_fraction < 1:
            raise UsageError(f'--test-fraction {self.test_fraction}: has to lie between 0 and 1.')
        if not 0 <= self.val_fraction < 1 - self.test_fraction:
            raise UsageError(
                f'--val-fraction {self.val_fraction}: has to be 0 or more, and below 1 together '
                f'with --test-fraction {self.test_fraction}.'
            )
        if self.split not in ('people', 'photographs'):
            raise UsageError(f"--split {self.split}: has to be 'people' or 'photographs'.")
        if self.balance not in (None, 'train', 'both'):
            raise UsageError(f"--balance {self.balance}: has to be 'train' or 'both'.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f'--seed {self.seed}: has to be in 0..2**32-1.')
        if self.workers < 1:
            raise UsageError(f'--workers {self.workers}: at least one is needed.')

    def preprocessing(self) -> Preprocessing:
        """Return the choices by which a photograph becomes an array."""
        return Preprocessing(self.size, self.size, self.fit, self.centre)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> 'ImportSettings':
        """Take the settings from the parsed options of `add_arguments`."""
        return cls(
            **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(cls)}
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that all sources share; `ImportSettings.of` reads them."""
    add_out_arguments(parser)
    parser.add_argument(
        '--size', type=int, default=128, help='height and width in pixels (default 128)'
    )
    parser.add_argument(
        '--fit',
        choices=('crop', 'stretch'),
        default='crop',
        help='cut out the largest central square, or squeeze the whole picture (default crop)',
    )
    parser.add_argument(
        '--centre',
        type=float,
        default=1.0,
        metavar='SHARE',
        help='first keep only this central share of each side, 0.1 to 1 (default 1)',
    )
    parser.add_argument(
        '--test-fraction',
        type=float,
        default=0.2,
        metavar='SHARE',
        help='share of the photographs in the test part, where the source fixes none (default 0.2)',
    )
    parser.add_argument(
        '--val-fraction',
        type=float,
        default=0.0,
        metavar='SHARE',
        help='share in a validation part, where the source fixes none (default 0: no such part)',
    )
    parser.add_argument(
        '--split',
        choices=('people', 'photographs'),
        default='people',
        help='keep photographs of a person in one part, or ignore who is shown (default people)',
    )
    parser.add_argument(
        '--balance',
        nargs='?',
        choices=('train', 'both'),
        const='train',
        help='as many photographs of each class in the training part, or in both parts '
        '(without a value: train)',
    )
    parser.add_argument(
        '--keep-near-duplicates',
        action='store_true',
        help='keep photographs that are near copies of others',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of the split, the balance and the order (default 0)'
    )
    add_workers_argument(parser)


def add_out_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a data set is written."""
    parser.add_argument('--out', required=True, metavar='DIR', help='the data set folder to make')
    parser.add_argument('--force', action='store_true', help='replace the data set that is there')


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        '--workers', type=int, default=cores(), metavar='N', help='processes (default: the cores)'
    )
