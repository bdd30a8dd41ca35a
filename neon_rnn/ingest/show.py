"""Print what a data set holds and write a contact sheet, a picture to look at."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neon_rnn.data.dataset import Dataset, Part, open_dataset
from neon_rnn.ingest.importer import summary
from neon_rnn.support.files import atomic_file

_GAP, _LINE = 2, 18


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data show``."""
    parser.add_argument('folder', metavar='DIR', help='a data set folder')
    parser.add_argument(
        '--sheet', metavar='PNG', help='where to write the sheet (default DIR/contact-sheet.png)'
    )
    parser.add_argument(
        '--sheet-seed', type=int, default=0, metavar='N', help='another seed shows other pictures'
    )


def run(arguments: argparse.Namespace) -> None:
    """Show a data set."""
    dataset = open_dataset(arguments.folder)
    print(summary(arguments.folder, dataset.description))
    print('contact sheet:', write_sheet(dataset, arguments.sheet, arguments.sheet_seed))


def write_sheet(dataset: Dataset, path: str | None, seed: int) -> Path:
    """Write the contact sheet, by default into the data set folder; return its path."""
    target = Path(path or Path(dataset.folder, 'contact-sheet.png'))
    sheet = contact_sheet(dataset, seed=seed)
    with atomic_file(target) as file:
        sheet.save(file, 'PNG')
    return target


def contact_sheet(
    dataset: Dataset, columns: int = 16, rows: int = 4, thumbnail: int = 64, seed: int = 0
) -> Image.Image:
    """Make a sheet of random pictures, class by class and part by part.

    Parameters
    ----------
    dataset : Dataset
    columns, rows : int
        Pictures of one class in one part.
    thumbnail : int
        Height of a picture in pixels.
    seed : int
        Seed of the sample; the same seed shows the same pictures.

    Returns
    -------
    PIL.Image.Image
    """
    blocks = [
        (
            f'{part_name}: {name}, {int(np.sum(part.labels == label)):,} images',
            _sample(part, label, columns * rows, seed),
        )
        for part_name, part in dataset.parts.items()
        for label, name in enumerate(dataset.class_names)
    ]
    width = thumbnail * dataset.shape[2] // dataset.shape[1]
    heights = [_LINE + -(-len(images) // columns) * (thumbnail + _GAP) for _, images in blocks]
    sheet = Image.new('RGB', (columns * (width + _GAP), 2 * _LINE + sum(heights)), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    kind = {'synthetic': 'SYNTHETIC, not photographed'}.get(
        dataset.description['kind'], dataset.description['kind']
    )
    draw.text(
        (4, 4),
        f'{dataset.description["name"]}: {kind}',
        (200, 0, 0) if 'SYNTHETIC' in kind else (0, 0, 0),
        font,
    )
    top = 2 * _LINE
    for (title, images), height in zip(blocks, heights, strict=True):
        draw.text((4, top), title, (0, 0, 0), font)
        for position, pixels in enumerate(images):
            place = (
                position % columns * (width + _GAP),
                top + _LINE + position // columns * (thumbnail + _GAP),
            )
            sheet.paste(
                _picture(pixels, dataset.shape).resize(
                    (width, thumbnail), Image.Resampling.LANCZOS
                ),
                place,
            )
        top += height
    return sheet


def _sample(part: Part, label: int, count: int, seed: int) -> np.ndarray:
    indices = np.flatnonzero(part.labels == label)
    chosen = np.random.RandomState([seed, label]).permutation(indices)[:count]
    return part.read(np.sort(chosen))


def _picture(pixels: np.ndarray, shape: tuple[int, int, int]) -> Image.Image:
    """Return a row of ``input`` as RGB; without 3 channels, show the first in grey."""
    channels = pixels.reshape(shape)
    return (
        Image.fromarray(np.ascontiguousarray(channels.transpose(1, 2, 0)))
        if shape[0] == 3
        else Image.fromarray(channels[0]).convert('RGB')
    )
