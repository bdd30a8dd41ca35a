"""neon's initialisers: the distributions of the initial values (neon/initializers/initializer.py).

Each `sample` returns float64; the layer stores it in the backend's precision, as neon does. Shapes
are neon's.
"""

from __future__ import annotations

import numpy

Size = tuple[int, int]


class Initializer:
    """Base class of the initialisers."""

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        """Return initial values, float64, of neon's parameter shape."""
        raise NotImplementedError


class Constant(Initializer):
    """Every element is `val`; uses no random numbers."""

    def __init__(self, val: float = 0.0, name: str = 'constantInit') -> None:
        self.val, self.name = val, name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        return numpy.full(shape, self.val, dtype=numpy.float64)


class Uniform(Initializer):
    """Uniform on [low, high)."""

    def __init__(self, low: float = 0.0, high: float = 1.0, name: str = 'uniformInit') -> None:
        self.low, self.high, self.name = low, high, name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        return rng.uniform(self.low, self.high, shape)


class Gaussian(Initializer):
    """Normal with mean `loc` and standard deviation `scale`."""

    def __init__(self, loc: float = 0.0, scale: float = 1.0, name: str = 'gaussianInit') -> None:
        self.loc, self.scale, self.name = loc, scale, name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        return rng.normal(self.loc, self.scale, shape)


class GlorotUniform(Initializer):
    """Uniform on (-k, k), k = sqrt(6 / (shape[0] + shape[1])) (Glorot and Bengio, 2010)."""

    def __init__(self, name: str = 'autouniformInit') -> None:
        self.name = name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        k = numpy.sqrt(6.0 / (shape[0] + shape[1]))
        return rng.uniform(-k, k, shape)


class Xavier(Initializer):
    """Uniform on (-k, k), k = sqrt(3 / fan_in).

    fan_in is shape[0] if `local` (convolution), else shape[1].
    """

    def __init__(self, local: bool = True, name: str = 'xavier') -> None:
        self.local, self.name = local, name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        k = numpy.sqrt(3.0 / shape[0 if self.local else 1])
        return rng.uniform(-k, k, shape)


class Kaiming(Initializer):
    """Normal(0, sqrt(2 / fan_in)) (He et al., arXiv 1502.01852).

    fan_in is shape[0] if `local` (convolution), else shape[1].
    """

    def __init__(self, local: bool = True, name: str = 'Kaiming') -> None:
        self.local, self.name = local, name

    def sample(self, rng: numpy.random.RandomState, shape: Size) -> numpy.ndarray:
        return rng.normal(0.0, numpy.sqrt(2.0 / shape[0 if self.local else 1]), shape)
