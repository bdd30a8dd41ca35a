"""neon's compound layers: functions that return the list of layers that each stands for."""

from __future__ import annotations

from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.convolution import Convolution
from neon_rnn.engines.torch.layers.feedforward import Activation, BatchNorm, Bias, Linear
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.support.errors import UsageError


def Affine(
    nout: int,
    init: Initializer,
    bias: Initializer | None = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
) -> list[Layer]:
    """Return neon's compound layer: linear, then bias or batch norm, then activation.

    Parameters
    ----------
    nout : int
        Output features.
    init, bias : initialiser
        Of W (nout, input features) and, where given, of the bias (nout, 1).
    batch_norm : bool
    activation : transform, optional

    Returns
    -------
    list of Layer
        Each counts one position in the names of the weights.

    Raises
    ------
    UsageError
        Both a bias and batch norm are asked for.
    """
    _check_bias(bias, batch_norm)
    biases: list[Layer] = [] if bias is None else [Bias(bias)]
    return [Linear(nout, init, name), *biases, *_norm_and_activation(batch_norm, activation)]


def Conv(
    fshape: tuple[int, int, int],
    init: Initializer,
    strides: int | dict[str, int] = 1,
    padding: int | dict[str, int] = 0,
    dilation: int | dict[str, int] = 1,
    bias: Initializer | None = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
) -> list[Layer]:
    """Return neon's compound layer: convolution with its bias or batch norm, then activation.

    Parameters
    ----------
    fshape : tuple of int
        (rows, columns, maps) of the filters.
    init, bias : initialiser
        Of W (C * rows * columns, maps) and, where given, of the bias (maps, 1).
    strides, padding, dilation : int or dict
        One number, or neon's keys: ``str_h`` and ``str_w``, ``pad_h`` and ``pad_w``, ``dil_h`` and
        ``dil_w``.
    batch_norm : bool
    activation : transform, optional

    Returns
    -------
    list of Layer
        Each counts one position in the names of the weights. The bias is part of the convolution.

    Raises
    ------
    UsageError
        Both a bias and batch norm are asked for.
    """
    _check_bias(bias, batch_norm)
    return [
        Convolution(fshape, strides or 1, padding or 0, dilation or 1, init, bias, name),
        *_norm_and_activation(batch_norm, activation),
    ]


def _check_bias(bias: Initializer | None, batch_norm: bool) -> None:
    """Refuse a bias together with batch norm."""
    if batch_norm and bias is not None:
        raise UsageError('a layer takes a bias or batch norm, not both (as in neon).')


def _norm_and_activation(batch_norm: bool, activation: Transform | None) -> list[Layer]:
    """Return the last layers of a compound layer."""
    layers: list[Layer] = [BatchNorm()] if batch_norm else []
    return layers if activation is None else [*layers, Activation(activation)]
