"""neon's compound layers: functions that return the list of layers that each stands for."""

from __future__ import annotations

from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    Bias,
    Convolution,
    Linear,
)
from neon_rnn.support.errors import UsageError


def Affine(nout, init, bias=None, batch_norm=False, activation=None, name=None) -> list[Layer]:
    """Linear, then bias or batch norm, then activation: neon's compound layer.

    Parameters
    ----------
    nout : int
        Features that come out.
    init, bias : initialiser
        Of W (nout, features in) and, where given, of the bias (nout, 1).
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
    return [
        Linear(nout, init, name),
        *_postfilter(Bias(bias) if bias is not None else None, batch_norm, activation),
    ]


def Conv(
    fshape,
    init,
    strides=1,
    padding=0,
    dilation=1,
    bias=None,
    batch_norm=False,
    activation=None,
    name=None,
) -> list[Layer]:
    """Convolution with its bias or batch norm, then activation: neon's compound layer.

    Parameters
    ----------
    fshape : tuple of int
        (rows, columns, maps) of the filters.
    init, bias : initialiser
        Of W (C * rows * columns, maps) and, where given, of the bias (maps, 1).
    strides, padding, dilation : int or dict
        One number, or neon's keys: ``str_h`` and ``str_w``, ``pad_h`` and ``pad_w``, ``dil_h`` and ``dil_w``.
    batch_norm : bool
    activation : transform, optional

    Returns
    -------
    list of Layer
        Each counts one position in the names of the weights; the convolution's bias is part of it.

    Raises
    ------
    UsageError
        Both a bias and batch norm are asked for.
    """
    return [
        Convolution(fshape, strides or 1, padding or 0, dilation or 1, init, bias, name),
        *_postfilter(None, batch_norm, activation, bias is not None),
    ]


def _postfilter(
    bias: Layer | None, batch_norm: bool, activation, biased: bool = False
) -> list[Layer]:
    """What follows the product in a compound layer."""
    if batch_norm and (bias is not None or biased):
        raise UsageError('a layer takes a bias or batch norm, not both (as in neon).')
    layers: list[Layer | None] = [
        bias,
        BatchNorm() if batch_norm else None,
        Activation(activation) if activation is not None else None,
    ]
    return [layer for layer in layers if layer is not None]
