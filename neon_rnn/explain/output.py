"""An explanation as figures for programs, and as files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from neon_rnn.explain import pictures
from neon_rnn.explain.explainer import Explanation
from neon_rnn.explain.sheet import Tile, sheet
from neon_rnn.support.files import atomic_file, make_folder

#: Pictures in a row of the sheet, and their side in pixels.
_COLUMNS, _SIDE = 4, 224


def figures(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation in plain numbers, for JSON.

    Returns
    -------
    dict
        `class`, `probability`, `probabilities`; `occlusion`: `class`, `window`, `tops`, `lefts`,
        `fill`, and, a row a list, `probability` and `log_odds_drop` of each window that is covered;
        `sweeps`: `layer`, `network`, `direction`, `units`, and `norms`, a row of blocks a list.
    """
    occlusion, label = explanation.occlusion, explanation.label
    return {
        'class': explanation.best,
        'probability': round(float(occlusion.probabilities[label]), 6),
        'probabilities': {
            name: round(value, 6) for name, value in explanation.probabilities.items()
        },
        'occlusion': {
            'class': explanation.best,
            'window': occlusion.window,
            'tops': occlusion.tops,
            'lefts': occlusion.lefts,
            'fill': occlusion.fill.tolist(),
            'probability': _rounded(occlusion.covered[:, :, label]),
            'log_odds_drop': _rounded(occlusion.drops(label)),
        },
        'sweeps': [
            {
                'layer': sweep.layer,
                'network': sweep.network,
                'direction': sweep.direction,
                'units': sweep.units,
                'norms': _rounded(sweep.norms),
            }
            for sweep in explanation.sweeps
        ],
    }


def write_pictures(folder: str, title: str, explanation: Explanation) -> list[str]:
    """Write the pictures of an explanation, and all of them on one sheet.

    Parameters
    ----------
    folder : str
        Is made.
    title : str
        The photograph's name, for the sheet.

    Returns
    -------
    list of str
        The names of the files in the folder: ``sheet.png`` first.
    """
    make_folder(folder)
    drawn = pictures.pictures(explanation)
    answer = ', '.join(
        f'{name} {100 * value:.1f}%' for name, value in explanation.probabilities.items()
    )
    tiles = [Tile(each.image, [each.caption, each.detail]) for each in drawn]
    images = {'sheet': sheet([f'{title}: {answer}'], tiles, _COLUMNS, _SIDE)}
    images.update((each.name, each.image) for each in drawn)
    names = []
    for name, image in images.items():
        names.append(f'{name}.png')
        with atomic_file(os.path.join(folder, names[-1])) as file:
            file.write(pictures.png(image))
    return names


def _rounded(values: np.ndarray) -> list:
    """Return an array as nested lists, six decimals each."""
    return np.round(values.astype(np.float64), 6).tolist()
