"""Make synthetic portraits, to try everything without photographs.

The result is labelled synthetic: a run on it never counts as a reproduction."""

import argparse
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from neon_rnn.data.dataset import PARTS
from neon_rnn.ingest.output import PartData, check_out, write_dataset
from neon_rnn.ingest.portraits import draw_portrait
from neon_rnn.ingest.settings import add_out_arguments, add_workers_argument
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.errors import UsageError

CLASS_NAMES = ['female', 'male']
NOTE = (
    'Synthetic, made by neon_rnn, not photographed: stereotypes by construction, for trying the '
    'software. Results on it say nothing about people or the published accuracies.'
)
_BLOCK = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data demo``."""
    add_out_arguments(parser)
    parser.add_argument(
        '--train', type=int, default=1024, metavar='N', help='training portraits (default 1024)'
    )
    parser.add_argument(
        '--test', type=int, default=256, metavar='N', help='test portraits (default 256)'
    )
    parser.add_argument(
        '--val', type=int, default=0, metavar='N', help='validation portraits (default 0: no part)'
    )
    parser.add_argument(
        '--size', type=int, default=128, help='height and width in pixels (default 128)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='another seed makes other portraits (default 0)'
    )
    add_workers_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Make the portraits as the command line says; the same ones replace those there unasked."""
    counts = {
        part: {
            name: len(range(label, count, len(CLASS_NAMES)))
            for label, name in enumerate(CLASS_NAMES)
        }
        for part in PARTS
        if (count := getattr(arguments, part))
    }
    check_out(
        arguments.out,
        arguments.force,
        {
            'source': 'demo',
            'seed': arguments.seed,
            'shape': [3, arguments.size, arguments.size],
            'counts': counts,
        },
    )
    description = make(
        arguments.out,
        arguments.train,
        arguments.test,
        arguments.size,
        arguments.seed,
        arguments.workers,
        arguments.val,
    )
    total = sum(sum(classes.values()) for classes in description['counts'].values())
    print(f'{arguments.out}: {total} synthetic portraits, {arguments.size}x{arguments.size}')


def make(
    folder: str,
    train: int = 1024,
    test: int = 256,
    size: int = 128,
    seed: int = 0,
    workers: int = 1,
    val: int = 0,
) -> dict:
    """Make a data set of portraits: half of each part is of each class, in random order.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        A number is out of range, or `folder` holds other files.
    """
    total = train + test + val
    if min(train, test) < 2 or val < 0 or val == 1 or total > 1000000:
        raise UsageError(
            f'{train} training, {test} test and {val} validation portraits cannot be made; 2 to '
            '1,000,000 can.'
        )
    if not 16 <= size <= 1024:
        raise UsageError(f'--size {size}: portraits are 16 to 1024 pixels wide.')
    if not 0 <= seed < 2**32:
        raise UsageError(f'--seed {seed}: has to be in 0..2**32-1.')
    if workers < 1:
        raise UsageError(f'--workers {workers}: at least one is needed.')
    with tqdm(total=total, unit='portrait', desc='making', leave=False, disable=None) as progress:
        parts = {}
        for name, first, count in (
            ('train', 0, train),
            ('test', train, test),
            ('val', train + test, val),
        ):
            if not count:
                continue
            labels = np.random.RandomState([seed, first]).permutation(np.arange(count) % 2)
            parts[name] = PartData(
                labels,
                _blocks(labels, first, seed, size, workers, progress),
                [f'portrait-{first + index}' for index in range(count)],
                [str(first + index) for index in range(count)],
            )
        return write_dataset(
            folder,
            parts,
            (3, size, size),
            {
                'name': 'demo',
                'source': 'demo',
                'kind': 'synthetic',
                'class_names': CLASS_NAMES,
                'seed': seed,
                'listed': total,
                'filters': [],
                'note': NOTE,
                'split': 'independent portraits, half of each class in each part',
            },
        )


def _blocks(
    labels: np.ndarray, first: int, seed: int, size: int, workers: int, progress: tqdm
) -> Iterator[np.ndarray]:
    tasks = [
        (labels[start : start + _BLOCK], first + start, seed, size)
        for start in range(0, len(labels), _BLOCK)
    ]
    for block in ordered_map(_portraits, tasks, workers):
        yield block
        progress.update(len(block))


def _portraits(labels: np.ndarray, first: int, seed: int, size: int) -> np.ndarray:
    return np.stack(
        [
            draw_portrait(int(label), seed, first + position, size).ravel()
            for position, label in enumerate(labels)
        ]
    )
