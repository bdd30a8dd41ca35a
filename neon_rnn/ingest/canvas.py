"""A canvas for drawings of heads: face coordinates, and shapes given in them."""

import math

import numpy as np
from PIL import Image, ImageDraw

#: Pictures are drawn at twice the size and then scaled down, which smooths the edges.
_OVERSAMPLING = 2


class Canvas:
    """A drawing in progress, and the random pose that maps face coordinates onto it.

    Face coordinates: the head is about 2 wide and 2.6 high around (0, 0), x to the right, y down.
    """

    def __init__(self, size: int, random: np.random.RandomState) -> None:
        self.side = size * _OVERSAMPLING
        self.random = random
        self.image = Image.new('RGB', (self.side, self.side))
        self.draw = ImageDraw.Draw(self.image)
        self.scale = self.side * random.uniform(0.19, 0.29)
        self.centre = self.side * (0.5 + random.uniform(-0.10, 0.10, 2)) - (0, 0.06 * self.side)
        tilt = math.radians(random.normal(0, 9))
        self.rotation = np.array(
            [[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]]
        )
        self.yaw = random.uniform(-0.28, 0.28)

    def colour(self, palette: tuple) -> np.ndarray:
        """Return a random colour between two of the palette."""
        first, second = (
            np.array(palette[self.random.randint(len(palette))], float) for _ in range(2)
        )
        return np.clip(
            first + (second - first) * self.random.uniform(0, 0.4) + self.random.normal(0, 8, 3),
            0,
            255,
        )

    def polygon(self, points: np.ndarray, colour: np.ndarray) -> None:
        """Fill a polygon given in face coordinates, (n, 2)."""
        self.draw.polygon(self._pixels(points), fill=rgb(colour))

    def line(self, points: np.ndarray, colour: np.ndarray, width: float) -> None:
        """Draw a line through points; points and width are in face coordinates."""
        self.draw.line(
            self._pixels(points),
            fill=rgb(colour),
            width=max(1, round(width * self.scale)),
            joint='curve',
        )

    def ellipse(self, x: float, y: float, width: float, height: float, colour: np.ndarray) -> None:
        """Fill an ellipse; `width` and `height` are half axes."""
        self.polygon(arc(x, y, width, height), colour)

    def _pixels(self, points: np.ndarray) -> list[tuple[float, float]]:
        return [
            tuple(point) for point in np.asarray(points) @ self.rotation * self.scale + self.centre
        ]


def arc(
    x: float, y: float, width: float, height: float, start: float = 0.0, stop: float = 2 * math.pi
) -> np.ndarray:
    """Return points along an ellipse, (24, 2); angles run clockwise on the screen."""
    angle = np.linspace(start, stop, 24)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], 1)


def rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int)
    return int(red), int(green), int(blue)
