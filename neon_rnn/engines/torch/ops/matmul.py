"""Matrix products and convolutions on the CPU, by the faster of MKL and oneDNN.

PyTorch computes float32 products with MKL, which on processors that Intel did not make stays with
AVX2. Where these have AVX-512, oneDNN computes them: it was twice as fast on an AMD EPYC
(docs/fast.md). On all others MKL is the faster one.
bfloat16 products PyTorch already computes with oneDNN, as the engine does all convolutions. A
processor without instructions for them multiplies in float32 (`rounded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from neon_rnn.engines.torch.ops.recording import recording
from neon_rnn.support import machine


def _onednn_types() -> tuple[torch.dtype, ...]:
    """Return the types that oneDNN multiplies here; the ordinary operators multiply the others.

    None in builds without oneDNN; bfloat16 only on processors with AVX-512 or similar.
    `_linear_pointwise` is the operator that torch.compile emits for a linear layer on the CPU.
    """
    if not torch.backends.mkldnn.is_available():
        return ()
    if not hasattr(torch.ops.mkldnn, '_linear_pointwise'):
        return ()
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return (torch.float32,)
    return (torch.float32, torch.bfloat16)


_ONEDNN_TYPES = _onednn_types()


def _mkl_is_fast() -> bool:
    """Tell whether MKL uses the widest vectors of this processor."""
    if not torch.backends.mkl.is_available():
        return False
    return machine.made_by_intel() or 'AVX512' not in torch.backends.cpu.get_cpu_capability()


#: MKL's products and functions of float32, which PyTorch calls, take less time then than those of
#: oneDNN.
MKL_IS_FAST = _mkl_is_fast()
#: From so many rows on, `product` loses time with the transposed copy of its first operand.
MANY_ROWS = 512


def multiplies_by_onednn(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN multiplies this type on this machine."""
    return dtype in _ONEDNN_TYPES


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether PyTorch multiplies bfloat16 faster than one pair of numbers after the other."""
    return device.type != 'cpu' or torch.bfloat16 in _ONEDNN_TYPES


def _by_onednn(x: torch.Tensor) -> bool:
    return x.device.type == 'cpu' and x.dtype in _ONEDNN_TYPES and not recording()


def _product_by_onednn(x: torch.Tensor) -> bool:
    return _by_onednn(x) and not (MKL_IS_FAST and x.dtype == torch.float32)


def matrix_dtype(x: torch.Tensor) -> torch.dtype:
    """Return the type of products with `x`: bfloat16 under autocast, else its own type."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _rounds(x: torch.Tensor) -> bool:
    """Tell whether products with `x` are those of bfloat16, and the processor has none."""
    return (
        not multiplies_bfloat16(x.device) and matrix_dtype(x) == torch.bfloat16 and not recording()
    )


def rounded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that multiplies tensors; in float32 where the processor has no bfloat16.

    There PyTorch's products in bfloat16 take up to 76 times as long as those in float32
    (docs/fast.md). So the tensors are rounded to bfloat16, multiplied in float32, and the results
    are rounded to bfloat16. A processor that multiplies bfloat16 does the same: it sums in float32.

    Parameters
    ----------
    function : callable
        What it returns is a tensor, or a tuple of tensors and None.
    *arguments
        The tensor that tells the type and the device comes first. Gradients go through.
    """
    if not _rounds(arguments[0]):
        return function(*arguments)
    with torch.autocast('cpu', enabled=False):
        results = function(
            *(
                argument.bfloat16().float() if isinstance(argument, torch.Tensor) else argument
                for argument in arguments
            )
        )
        if isinstance(results, torch.Tensor):
            return results.bfloat16()
        return tuple(None if result is None else result.bfloat16() for result in results)


def product(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    add: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute x weight' + bias + add, without autograd.

    Parameters
    ----------
    x : torch.Tensor
        (n, k).
    weight : torch.Tensor
        (m, k), of any strides.
    bias : torch.Tensor, optional
        (m,); not together with `add`.
    add : torch.Tensor, optional
        (n, m); may have gaps between its rows.

    Returns
    -------
    torch.Tensor
        (n, m).
    """
    if _rounds(x):
        return rounded(product, x, weight, bias, add)
    if _product_by_onednn(x):
        if not weight.t().is_contiguous():
            # For rows with gaps oneDNN has only its reference code, hundreds of times slower.
            weight = weight.contiguous()
        if add is None:
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')
        return torch.ops.mkldnn._linear_pointwise.binary(x, add.contiguous(), weight, bias, 'add')
    if add is None:
        return functional.linear(x, weight, bias)
    return torch.addmm(add, x, weight.t())


def weight_gradient(delta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Compute delta' x, without autograd: (n, m), (n, k) -> (m, k).

    Both may have gaps between their rows.
    """
    if _rounds(x):
        return rounded(weight_gradient, delta, x)
    if delta.dtype == torch.bfloat16 or not _product_by_onednn(x):
        return torch.mm(delta.t(), x)  # needs no copy of rows with gaps
    if len(x) >= MANY_ROWS:
        # It is the gradient of filters of one pixel, where the rows are the pixels of one image.
        # Many small images would take longer.
        error, image = (
            rows.contiguous().view(1, len(rows), 1, -1).permute(0, 3, 1, 2) for rows in (delta, x)
        )
        weight = delta.new_empty(delta.shape[1], x.shape[1], 1, 1)
        one, none, wanted = (1, 1), (0, 0), (False, True, False)
        return convolution_gradients(error, image, weight, one, none, one, wanted)[1].flatten(1)
    return product(delta.t(), x.contiguous().t())


class _Linear(torch.autograd.Function):
    """y = x W' + b; the products of both passes are those of `product`."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        return (
            product(gradient, weight.t()) if ctx.needs_input_grad[0] else None,
            weight_gradient(gradient, x) if ctx.needs_input_grad[1] else None,
            gradient.sum(0) if ctx.needs_input_grad[2] else None,
        )


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Compute ``functional.linear`` with the fastest product available.

    Parameters
    ----------
    x : torch.Tensor
        (..., k).
    weight : torch.Tensor
        (m, k).
    bias : torch.Tensor, optional
        (m,).
    """
    if not (_by_onednn(x) or _rounds(x)):
        return functional.linear(x, weight, bias)
    dtype = matrix_dtype(x)
    y = _Linear.apply(
        x.reshape(-1, x.shape[-1]).to(dtype),
        weight.to(dtype),
        None if bias is None else bias.to(dtype),
    )
    return y.unflatten(0, x.shape[:-1])


def convolution(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    rectified: bool,
) -> torch.Tensor:
    """Compute x * weight + bias, or the larger of that and 0 if `rectified`; without autograd.

    Other arguments as those of ``functional.conv2d``.
    """
    if bias is not None:
        bias = bias.to(x.dtype)
    if _rounds(x):
        return rounded(convolution, x, weight, bias, strides, padding, dilation, rectified)
    if _by_onednn(x):
        return torch.ops.mkldnn._convolution_pointwise(
            x,
            weight,
            bias,
            padding,
            strides,
            dilation,
            1,
            'relu' if rectified else 'none',
            [],
            '',
        )
    y = functional.conv2d(x, weight, bias, strides, padding, dilation)
    return y.relu_() if rectified else y


def convolution_gradients(
    error: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    wanted: tuple[bool, bool, bool],
) -> Any:
    """Return the gradients of x, weight and bias of a convolution; None for what is not `wanted`.

    `error` is the gradient of the output; other arguments as those of ``functional.conv2d``.
    """
    no_output_padding, groups = [0, 0], 1
    return rounded(
        torch.ops.aten.convolution_backward,
        error,
        x,
        weight,
        [len(weight)],
        strides,
        padding,
        dilation,
        False,
        no_output_padding,
        groups,
        wanted,
    )
