"""The most wrong pictures of a data set: those with the highest probability of a wrong class."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from neon_rnn.data.hdf5 import Part
from neon_rnn.explain import pictures
from neon_rnn.explain.sheet import Tile, sheet
from neon_rnn.support.files import atomic_file, make_folder, write_text

#: Pictures in a row of the sheet, and their side in pixels.
_COLUMNS, _SIDE = 6, 160


def most_wrong(
    probabilities: np.ndarray, labels: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the pictures whose most probable wrong class is the most probable.

    Parameters
    ----------
    probabilities : numpy.ndarray
        (n, classes).
    labels : numpy.ndarray
        int (n,).
    count : int
        At most so many.

    Returns
    -------
    indices, wrong, probability : numpy.ndarray
        (k,) each: the pictures, the most wrong one first, of equal ones the first of the file
        first; the most probable wrong class of each, and its probability.
    """
    values = np.array(probabilities, np.float64)
    values[np.arange(len(labels)), labels] = -1
    wrong = values.argmax(axis=1)
    highest = values.max(axis=1)
    indices = np.argsort(-highest, kind='stable')[:count]
    return indices, wrong[indices], highest[indices]


def write_sheet(
    path: str,
    part: Part,
    title: Sequence[str],
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    count: int,
) -> int:
    """Write the most wrong pictures of a part as one picture (PNG).

    Under each: its name in the data set, its label, and the most probable wrong class.

    Parameters
    ----------
    path : str
        Its folder is made. A folder that is made gets a ``.gitignore``, so that no photograph of a
        person is ever committed by accident.
    part : Part
        Of the data set.
    title : list of str
        Lines above the pictures.
    probabilities, labels, count
        As `most_wrong` takes them; the classes are those of `class_names`.

    Returns
    -------
    int
        How many pictures are on the sheet.

    Raises
    ------
    NeonRnnError
        The file cannot be written.
    """
    indices, wrong, highest = most_wrong(probabilities, labels, count)
    names = part.extra('source_file')
    tiles = [
        Tile(
            pictures.photograph(pixels.reshape(part.shape)),
            [
                _name(names, index),
                f'label {class_names[labels[index]]}',
                f'{class_names[other]} {100 * value:.1f}%'
                + ('' if mistaken else ', answered right'),
            ],
        )
        for pixels, index, other, value, mistaken in zip(
            part.read(indices),
            indices,
            wrong,
            highest,
            probabilities[indices].argmax(axis=1) != labels[indices],
            strict=True,
        )
    ]
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        make_folder(folder)
        write_text(os.path.join(folder, '.gitignore'), '*\n')
    with atomic_file(path) as file:
        file.write(pictures.png(sheet(title, tiles, _COLUMNS, _SIDE)))
    return len(tiles)


def _name(names: Sequence[bytes | str] | None, index: int) -> str:
    """Return the name of an image in its data set, and its number."""
    if names is None:
        return f'image {index}'
    name = names[index]
    text = name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name)
    return f'{index}: {text.rpartition("/")[2]}'
