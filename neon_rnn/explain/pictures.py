"""The pictures of an explanation: the input, the map of the decision, the sweeps. Pillow only."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # both load PyTorch, which no picture needs
    from neon_rnn.explain.explainer import Explanation
    from neon_rnn.explain.sweeps import Sweep

#: Pictures are enlarged to about this side, in pixels.
SIDE = 256
#: What speaks for the class, and what against it: told apart by all common kinds of colour vision.
FOR, AGAINST = (230, 97, 1), (33, 102, 200)
#: From a small norm to a large one; each colour is lighter than the one before.
_RAMP = (
    (20, 14, 54),
    (86, 24, 108),
    (170, 48, 98),
    (232, 106, 60),
    (250, 186, 80),
    (252, 250, 200),
)


class Picture(NamedTuple):
    """A picture of an explanation.

    Attributes
    ----------
    name : str
        Name of its file, without the ending: ``'input'``, ``'decision'``, ``'14-vertical-down'``.
    caption : str
        What it shows, in a few words.
    detail : str
        Its figures.
    image : PIL.Image.Image
    """

    name: str
    caption: str
    detail: str
    image: Image.Image


def pictures(explanation: Explanation) -> list[Picture]:
    """Draw everything that an explanation has: input, decision, then the sweeps as they run."""
    height, width = explanation.pixels.shape[1:]
    heat = explanation.occlusion.heat(explanation.label)
    found = [
        Picture(
            'input',
            'What the network sees',
            f'{width} x {height} pixels',
            enlarged(photograph(explanation.pixels)),
        ),
        Picture(
            'decision',
            f'Where {explanation.best} comes from',
            decision_text(explanation),
            enlarged(decision(explanation.pixels, heat)),
        ),
    ]
    for sweep in explanation.sweeps:
        low, high = scale(sweep, explanation.sweeps)
        rows, columns = sweep.norms.shape
        found.append(
            Picture(
                f'{sweep.layer}-{sweep.network}-{sweep.direction}',
                f'Layer {sweep.layer}, {sweep.network}, {sweep.direction}',
                f'{columns} x {rows} blocks, norms {sweep.norms.min():.2f} to '
                f'{sweep.norms.max():.2f}; dark {low:.2f}, light {high:.2f}',
                enlarged(norms(sweep.norms, low, high)),
            )
        )
    return found


def decision_text(explanation: Explanation) -> str:
    """Say which window matters most, and what its cover changes."""
    occlusion, label = explanation.occlusion, explanation.label
    drops = occlusion.drops(label)
    row, column = np.unravel_index(int(drops.argmax()), drops.shape)
    if drops[row, column] <= 0:
        return 'no window lowers the probability when it is covered'
    before, after = occlusion.probabilities[label], occlusion.covered[row, column, label]
    return (
        f'covering {occlusion.window} x {occlusion.window} pixels at ({occlusion.lefts[column]}, '
        f'{occlusion.tops[row]}): {100 * before:.1f}% becomes {100 * after:.1f}%'
    )


def photograph(pixels: np.ndarray) -> Image.Image:
    """Return pixels, uint8 (C, H, W), as a picture; without 3 channels, the first in grey."""
    if len(pixels) != 3:
        return Image.fromarray(pixels[0]).convert('RGB')
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def decision(pixels: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Colour a grey copy of a photograph by a map: `FOR` where positive, `AGAINST` where negative.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 (3, H, W).
    heat : numpy.ndarray
        (H, W). The strongest value has the full colour, 0 has none.
    """
    grey = np.asarray(photograph(pixels).convert('L'), np.float64)[:, :, np.newaxis]
    grey = 55 + grey * 0.7  # less contrast, so that the colours are seen
    strength = heat / max(np.abs(heat).max(), 1e-12)
    colour = np.where((strength > 0)[:, :, np.newaxis], FOR, AGAINST)
    opacity = 0.75 * np.abs(strength)[:, :, np.newaxis]
    mixed = (1 - opacity) * grey + opacity * colour
    return Image.fromarray(np.rint(mixed).clip(0, 255).astype(np.uint8))


def scale(sweep: Sweep, sweeps: list[Sweep]) -> tuple[float, float]:
    """Return the smallest and the largest norm of a network: its directions have one scale."""
    same = [
        other.norms
        for other in sweeps
        if (other.layer, other.network) == (sweep.layer, sweep.network)
    ]
    return min(float(each.min()) for each in same), max(float(each.max()) for each in same)


def norms(values: np.ndarray, low: float, high: float) -> Image.Image:
    """Draw norms (rows, columns), a pixel a block: dark at `low`, light at `high`."""
    share = (values - low) / max(high - low, 1e-12)
    places = np.linspace(0, 1, len(_RAMP))
    channels = [np.interp(share, places, [colour[c] for colour in _RAMP]) for c in range(3)]
    return Image.fromarray(np.rint(np.stack(channels, axis=2)).astype(np.uint8))


def enlarged(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Repeat each pixel, so that the longer side has about `side` pixels; never make it smaller."""
    factor = max(1, round(side / max(image.size)))
    size = image.width * factor, image.height * factor
    return image.resize(size, Image.Resampling.NEAREST)


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()
