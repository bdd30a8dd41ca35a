"""Draw synthetic portraits, to try everything without any photographs.

The result is labelled synthetic: a run on it never counts as a reproduction."""

import argparse
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from neon_rnn.ingest.output import PartData, add_out_arguments, check_out, write_dataset
from neon_rnn.ingest.portraits import draw_portrait
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.errors import UsageError
from neon_rnn.support.machine import cores

CLASS_NAMES = ['female', 'male']
NOTE = (
    'Drawn by neon_rnn, not photographed: stereotypes by construction, for trying the software. Results on it say '
    'nothing about people and nothing about the published accuracies.'
)
_BLOCK = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data demo``."""
    add_out_arguments(parser)
    parser.add_argument(
        '--train', type=int, default=1024, metavar='N', help='training portraits (default 1024)'
    )
    parser.add_argument(
        '--test', type=int, default=256, metavar='N', help='test portraits (default 256)'
    )
    parser.add_argument(
        '--size', type=int, default=128, help='height and width in pixels (default 128)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='another seed draws other portraits (default 0)'
    )
    parser.add_argument(
        '--workers', type=int, default=cores(), metavar='N', help='processes (default: the cores)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw, write, report; the same portraits are drawn again without asking."""
    counts = {
        part: {
            name: len(range(label, count, len(CLASS_NAMES)))
            for label, name in enumerate(CLASS_NAMES)
        }
        for part, count in (('train', arguments.train), ('test', arguments.test))
    }
    check_out(
        arguments,
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
) -> dict:
    """Draw a data set; half of each part is of each class, in an order drawn from the seed.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        A number is out of range, or `folder` holds other files.
    """
    if min(train, test) < 2 or train + test > 1000000:
        raise UsageError(
            f'{train} training and {test} test portraits cannot be drawn; 2 to 1,000,000 can.'
        )
    if not 16 <= size <= 1024:
        raise UsageError(f'--size {size}: portraits are 16 to 1024 pixels wide.')
    if not 0 <= seed < 2**32:
        raise UsageError(f'--seed {seed}: has to be in 0..2**32-1.')
    if workers < 1:
        raise UsageError(f'--workers {workers}: at least one is needed.')
    with tqdm(
        total=train + test, unit='portrait', desc='drawing', leave=False, disable=None
    ) as progress:
        parts = {}
        for name, first, count in (('train', 0, train), ('test', train, test)):
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
                'listed': train + test,
                'filters': [],
                'note': NOTE,
                'split': 'independent drawings, half of each class in each part',
            },
        )


def _blocks(
    labels: np.ndarray, first: int, seed: int, size: int, workers: int, progress: tqdm
) -> Iterator[np.ndarray]:
    tasks = [
        (labels[start : start + _BLOCK], first + start, seed, size)
        for start in range(0, len(labels), _BLOCK)
    ]
    for block in ordered_map(_draw_block, tasks, workers):
        yield block
        progress.update(len(block))


def _draw_block(labels: np.ndarray, first: int, seed: int, size: int) -> np.ndarray:
    return np.stack(
        [
            draw_portrait(int(label), seed, first + position, size).ravel()
            for position, label in enumerate(labels)
        ]
    )
