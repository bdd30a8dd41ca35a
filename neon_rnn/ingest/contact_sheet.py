"""A sheet of pictures of a data set, class by class and part by part, to look at with one's own eyes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neon_rnn.data.dataset import Dataset, Part

_GAP, _LINE = 2, 18


def contact_sheet(
    dataset: Dataset, columns: int = 16, rows: int = 4, thumbnail: int = 64, seed: int = 0
) -> Image.Image:
    """Draw the sheet.

    Parameters
    ----------
    dataset : Dataset
    columns, rows : int
        Pictures in the block of one class in one part.
    thumbnail : int
        Height of a picture in pixels.
    seed : int
        Of the sample; the same seed shows the same pictures.

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
    kind = {'synthetic': 'SYNTHETIC, drawn, not photographed'}.get(
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
    """RGB of a row of ``input``; one channel is shown grey, of others the first."""
    channels = pixels.reshape(shape)
    return (
        Image.fromarray(np.ascontiguousarray(channels.transpose(1, 2, 0)))
        if shape[0] == 3
        else Image.fromarray(channels[0]).convert('RGB')
    )
