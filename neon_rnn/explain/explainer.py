"""A trained run, opened to explain its answers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from neon_rnn.data.images import Preprocessing
from neon_rnn.explain.occlusion import Occlusion, occlude
from neon_rnn.explain.sweeps import Sweep, sweep_norms
from neon_rnn.runs import trained_run
from neon_rnn.runs.classifier import preprocessing
from neon_rnn.support.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The answer to one photograph, and what it comes from.

    Attributes
    ----------
    pixels : numpy.ndarray
        uint8 (3, H, W): what the network sees.
    class_names : list of str
    occlusion : Occlusion
    sweeps : list of Sweep
        Empty for a network without SpatialRNN.
    """

    pixels: np.ndarray
    class_names: list[str]
    occlusion: Occlusion
    sweeps: list[Sweep]

    @property
    def probabilities(self) -> dict[str, float]:
        """Return class name -> probability."""
        return dict(zip(self.class_names, map(float, self.occlusion.probabilities), strict=True))

    @property
    def label(self) -> int:
        """Return the index of the most probable class; of equal ones, the first."""
        return int(np.argmax(self.occlusion.probabilities))

    @property
    def best(self) -> str:
        """Return the name of the most probable class."""
        return self.class_names[self.label]


@dataclasses.dataclass(frozen=True)
class Explainer:
    """A trained run on the torch engine. One thread at a time may use it.

    Attributes
    ----------
    nn, model
        The engine, and its model with the trained weights.
    class_names : list of str
    preprocessing : Preprocessing
        How a photograph becomes pixels.
    kind : str
        Of the training's data: ``'photographs'``, ``'synthetic'`` or ``'unknown'``.
    source : str
        The run, and the epoch of its weights.
    name : str
        Of the network: its row of the published table, else its own name.
    """

    nn: Any
    model: Any
    class_names: list[str]
    preprocessing: Preprocessing
    kind: str
    source: str
    name: str

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Compute uint8 (n, C*H*W) -> float32 (n, classes)."""
        return self.nn.predict(self.model, pixels)

    def explain(
        self, pixels: np.ndarray, window: int | None = None, step: int | None = None
    ) -> Explanation:
        """Explain the answer to a photograph.

        Parameters
        ----------
        pixels : numpy.ndarray
            uint8 (3, H, W), as `preprocessing` makes them.
        window, step : int, optional
            As `occlude` takes them.

        Raises
        ------
        UsageError
            The window or the step does not fit.
        """
        occlusion = occlude(self.predict, pixels, window, step)
        sweeps = sweep_norms(self.nn, self.model, pixels)
        return Explanation(pixels, self.class_names, occlusion, sweeps)


def open_run(folder: str, backend: str = 'cpu', batch_size: int = 32) -> Explainer:
    """Open a trained run to explain its answers, whichever engine trained it.

    Parameters
    ----------
    folder, backend, batch_size
        As `trained_run.load_run` takes them, which also raises its errors.

    Raises
    ------
    UsageError
        The run was not trained on colour images.
    """
    trained = trained_run.load_run(folder, 'torch', backend, batch_size)
    record = trained.record
    if record['dataset']['shape'][0] != 3:
        raise UsageError(
            f'{folder}: was trained on images {tuple(record["dataset"]["shape"])}; photographs '
            'have 3 channels.'
        )
    return Explainer(
        trained.nn,
        trained.model,
        record['dataset']['class_names'],
        preprocessing(record['dataset']),
        record['dataset']['kind'],
        f'{record["run_id"]}, epoch {trained.epoch}',
        record['row'] or record['model'],
    )
