"""Draws portraits, for use where there are no photographs: two classes that overlap.

Two classes share every feature and differ in how often they show it: hair length, beard, brows,
lips, jaw. Pose, skin, hair and clothing colour, background, light and noise are random and do not
depend on the class. So a linear classifier on pixels has little to use, whereas shape and texture
tell the classes apart most of the time. The portraits are stereotypes by construction: results on
them say nothing about people.
"""

import dataclasses
import math

import numpy as np
from PIL import Image

from neon_rnn.ingest.canvas import Canvas, arc, rgb

SKINS = (
    (255, 224, 196),
    (241, 194, 160),
    (224, 172, 135),
    (198, 134, 94),
    (141, 85, 56),
    (92, 58, 40),
)
HAIRS = (
    (28, 22, 20),
    (59, 38, 26),
    (106, 70, 40),
    (160, 118, 66),
    (220, 188, 126),
    (170, 170, 172),
    (146, 62, 34),
)


@dataclasses.dataclass(frozen=True)
class Traits:
    """The traits of a portrait that depend on the class; every trait occurs in both."""

    long_hair: bool
    beard: float
    brow: float
    lips: float
    jaw: float
    shoulders: float
    bald: bool
    earrings: bool

    @classmethod
    def sample(cls, label: int, random: np.random.RandomState) -> 'Traits':
        """Return random traits of a portrait of class `label` (0 female, 1 male)."""
        male = label == 1
        return cls(
            long_hair=random.rand() < (0.06 if male else 0.90),
            beard=random.uniform(0.5, 1.0) if random.rand() < (0.72 if male else 0.01) else 0.0,
            brow=random.normal(1.35 if male else 0.85, 0.25),
            lips=random.normal(0.25 if male else 0.70, 0.22),
            jaw=random.normal(0.92 if male else 0.78, 0.07),
            shoulders=random.normal(1.12 if male else 0.95, 0.09),
            bald=random.rand() < (0.15 if male else 0.01),
            earrings=random.rand() < (0.06 if male else 0.40),
        )


class Portrait(Canvas):
    """A portrait in progress."""

    def __init__(self, size: int, random: np.random.RandomState) -> None:
        super().__init__(size, random)
        self.skin = self.colour(SKINS)
        self.hair = self.colour(HAIRS)

    def background(self) -> None:
        """Paint a gradient between two colours with some shapes, of random brightness."""
        first, second = self.random.uniform(0, 255, (2, 3)) * self.random.uniform(0.3, 1.0, (2, 1))
        angle = self.random.uniform(0, 2 * math.pi)
        x, y = np.meshgrid(*[np.linspace(-0.5, 0.5, self.side)] * 2)
        share = (0.5 + (x * math.cos(angle) + y * math.sin(angle)) / 1.4)[:, :, None]
        self.image.paste(Image.fromarray((first + (second - first) * share).astype(np.uint8)))
        for _ in range(self.random.randint(0, 7)):
            left, top = self.random.uniform(-0.2, 1.0, 2) * self.side
            right, bottom = (left, top) + self.random.uniform(0.05, 0.5, 2) * self.side
            shape = self.draw.ellipse if self.random.rand() < 0.4 else self.draw.rectangle
            shape((left, top, right, bottom), fill=rgb(self.random.uniform(0, 255, 3)))

    def hair_behind(self, traits: Traits) -> None:
        """Draw the hair behind the head: to the shoulders when long, in strands."""
        if traits.bald:
            return
        if not traits.long_hair:
            self.ellipse(-0.3 * self.yaw, -0.25, 1.12, 1.22, self.hair * 0.8)
            return
        length = self.random.uniform(1.5, 2.5)
        spread = self.random.uniform(1.3, 1.7)
        y = np.linspace(-0.5, length, 16)
        wave = self.random.uniform(0, 0.09) * np.sin(y * self.random.uniform(3, 8))
        half = spread * (0.9 + 0.1 * np.sin(y))
        top = arc(0, -0.35, 1.2, 1.1, math.pi, 2 * math.pi)
        sides = np.concatenate(
            [np.stack([half + wave, y], 1), np.stack([-half + wave, y], 1)[::-1]]
        )
        self.polygon(np.concatenate([top, sides]), self.hair * 0.85)
        for _ in range(56):
            start = self.random.uniform(-spread, spread) * 0.96
            shade = self.hair * self.random.uniform(0.3, 1.8)
            self.line(np.stack([start + wave + 0.03 * self.random.normal(), y], 1), shade, 0.04)

    def body(self, traits: Traits) -> None:
        """Draw shoulders and neck."""
        cloth = self.random.uniform(0, 255, 3)
        width = 2.05 * traits.shoulders
        self.polygon(
            np.concatenate(
                [arc(0, 2.6, width, 0.95, math.pi, 2 * math.pi), [(width, 6), (-width, 6)]]
            ),
            cloth,
        )
        neck = 0.5 * traits.jaw / 0.85
        self.polygon(
            np.array(
                [(-neck, 0.6), (neck, 0.6), (neck * 1.1, 1.95), (0, 2.3), (-neck * 1.1, 1.95)]
            ),
            self.skin * 0.84,
        )

    def head(self, traits: Traits) -> None:
        """Draw ears and the outline of the face, wider below for a stronger jaw."""
        for side in (-1, 1):
            self.ellipse(side * 0.98 + 0.25 * self.yaw, 0.05, 0.14, 0.26, self.skin * 0.9)
            if traits.earrings:
                self.ellipse(
                    side * 1.02 + 0.25 * self.yaw,
                    0.42,
                    0.08,
                    0.10,
                    self.random.uniform(120, 255, 3),
                )
        angle = np.linspace(0, 2 * math.pi, 48)
        lower = np.clip(np.sin(angle), 0, 1)
        width = 1.0 + (traits.jaw - 1.0) * lower**0.6
        self.polygon(
            np.stack(
                [
                    width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.86,
                    1.3 * np.sin(angle),
                ],
                1,
            ),
            self.skin,
        )

    def beard(self, traits: Traits) -> None:
        """Draw a beard or stubble: the lower face in hair colour, as short strokes."""
        if not traits.beard:
            return
        inner, outer = (
            arc(self.yaw, 0.62, 0.34, 0.26, math.pi, 0),
            arc(0, 0.35, traits.jaw * 0.95, 0.93, 0, math.pi),
        )
        colour = self.skin + (self.hair * 0.8 - self.skin) * traits.beard
        self.polygon(np.concatenate([outer, inner]), self.skin + (colour - self.skin) * 0.75)
        for x, y in self.random.uniform((-0.8, 0.35), (0.8, 1.3), (150, 2)):
            if (x / (traits.jaw * 0.93)) ** 2 + ((y - 0.35) / 0.9) ** 2 < 1 and abs(
                x - self.yaw
            ) + abs(y - 0.62) > 0.3:
                stroke = np.array([(x, y), (x + self.random.normal(0, 0.03), y + 0.11)])
                self.line(stroke, colour * self.random.uniform(0.2, 1.5), 0.045)

    def features(self, traits: Traits) -> None:
        """Draw eyes, brows, nose and mouth, moved sideways by the yaw."""
        brow_height = self.random.uniform(-0.52, -0.40)
        iris = self.random.uniform(20, 140, 3)
        for side in (-1, 1):
            eye = side * 0.42 + self.yaw
            self.ellipse(eye, -0.16, 0.19, 0.095, np.full(3, 240.0))
            self.ellipse(eye + 0.3 * self.yaw, -0.16, 0.085, 0.09, iris)
            self.line(
                arc(eye, -0.15, 0.2, 0.12, math.pi, 2 * math.pi),
                self.skin * 0.3,
                0.035 + 0.04 * traits.lips,
            )
            self.line(
                arc(eye, brow_height + 0.1, 0.26, 0.13, 1.15 * math.pi, 1.85 * math.pi),
                self.hair * 0.55,
                max(0.02, 0.075 * traits.brow),
            )
        nose = np.array(
            [(self.yaw * 1.1, -0.1), (self.yaw * 1.5 + 0.1, 0.30), (self.yaw * 1.3 - 0.06, 0.34)]
        )
        self.line(nose, self.skin * 0.72, 0.045)
        red = np.array([190.0, 40.0, 60.0])
        colour = self.skin * 0.75 + (red - self.skin * 0.75) * np.clip(traits.lips, 0, 1)
        smile = self.random.uniform(-0.06, 0.14)
        x = np.linspace(-0.30, 0.30, 12)
        thick = max(0.02, 0.05 + 0.09 * traits.lips) * (1 - (x / 0.32) ** 2)
        middle = 0.68 - smile * (x / 0.30) ** 2
        x = x + self.yaw
        self.polygon(
            np.concatenate(
                [np.stack([x, middle - thick], 1), np.stack([x, middle + thick], 1)[::-1]]
            ),
            colour,
        )
        self.line(np.stack([x, middle], 1), colour * 0.5, 0.02)

    def hair_above(self, traits: Traits) -> None:
        """Draw the hair on top of the head, with a parting."""
        if traits.bald:
            return
        fringe = self.random.uniform(-0.95, -0.55)
        parting = self.random.uniform(-0.5, 0.5)
        top = arc(0, -0.28, 1.1, self.random.uniform(1.1, 1.35), math.pi, 2 * math.pi)
        inner = np.array(
            [
                (0.98, -0.1),
                (0.8, fringe + 0.1),
                (parting, fringe - 0.15),
                (-0.8, fringe + 0.1),
                (-0.98, -0.1),
            ]
        )
        self.polygon(np.concatenate([top, inner]), self.hair)
        for _ in range(18):
            angle = self.random.uniform(1.05 * math.pi, 1.95 * math.pi)
            end = np.array([1.04 * math.cos(angle), -0.3 + 1.05 * math.sin(angle)])
            self.line(
                np.array([(parting, fringe - 0.2), end]),
                self.hair * self.random.uniform(0.5, 1.5),
                0.025,
            )

    def accessories(self) -> None:
        """Draw glasses and hats, which do not depend on the class."""
        if self.random.rand() < 0.2:
            colour = self.random.uniform(0, 90, 3)
            for side in (-1, 1):
                self.line(arc(side * 0.42 + self.yaw, -0.14, 0.3, 0.24), colour, 0.05)
            self.line(np.array([(self.yaw - 0.12, -0.16), (self.yaw + 0.12, -0.16)]), colour, 0.05)
        if self.random.rand() < 0.12:
            colour = self.random.uniform(0, 255, 3)
            self.polygon(arc(0, -0.75, 1.15, 0.95, math.pi, 2 * math.pi), colour)
            self.polygon(
                np.array([(-1.35, -0.82), (1.35, -0.82), (1.3, -0.62), (-1.3, -0.62)]), colour * 0.7
            )

    def photographed(self, size: int) -> np.ndarray:
        """Return the picture as a photograph might show it: uint8 (size, size, 3).

        It adds light from a side, contrast, a colour cast, noise, and sometimes removes colour.
        """
        pixels = np.asarray(self.image.resize((size, size), Image.Resampling.BOX), float)
        angle, strength = self.random.uniform(0, 2 * math.pi), self.random.uniform(0, 0.4)
        x, y = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
        light = 1 + strength * (x * math.cos(angle) + y * math.sin(angle))
        cast = self.random.normal(1, 0.07, 3) * self.random.uniform(0.75, 1.25)
        pixels = pixels * light[:, :, None] * cast
        mean = pixels.mean()
        pixels = mean + (pixels - mean) * self.random.uniform(0.75, 1.2)
        if self.random.rand() < 0.12:
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
        noise = self.random.standard_normal(pixels.shape) * self.random.uniform(1, 5)
        return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def draw_portrait(label: int, seed: int, index: int, size: int = 128) -> np.ndarray:
    """Draw portrait number `index` of a seed.

    Parameters
    ----------
    label : int
        0 female, 1 male.
    seed, index : int
        Decide everything random; portraits are independent of each other.
    size : int

    Returns
    -------
    numpy.ndarray
        uint8 (3, size, size).
    """
    random = np.random.RandomState([seed, index, 2018])
    portrait = Portrait(size, random)
    traits = Traits.sample(label, random)
    portrait.background()
    portrait.hair_behind(traits)
    portrait.body(traits)
    portrait.head(traits)
    portrait.beard(traits)
    portrait.features(traits)
    portrait.hair_above(traits)
    portrait.accessories()
    return np.ascontiguousarray(portrait.photographed(size).transpose(2, 0, 1))
