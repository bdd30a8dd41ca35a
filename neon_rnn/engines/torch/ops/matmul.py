"""Matrix products and convolutions on the CPU through oneDNN.

PyTorch hands float32 products to MKL, which on processors of other makers than Intel stays with AVX2; oneDNN uses the
widest vectors that the processor has, and made twice the speed on an AMD EPYC with AVX-512 (docs/performance.md).
PyTorch already hands bfloat16 products to oneDNN.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def _onednn_types() -> tuple[torch.dtype, ...]:
    """What oneDNN multiplies here: nothing in builds without it, bfloat16 only on processors with AVX-512 and the like.

    The ordinary operators do the rest. `_linear_pointwise` is what torch.compile emits for a linear layer on the CPU.
    """
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, '_linear_pointwise')
    ):
        return ()
    return (
        (torch.float32, torch.bfloat16)
        if torch.ops.mkldnn._is_mkldnn_bf16_supported()
        else (torch.float32,)
    )


_ONEDNN_TYPES = _onednn_types()


def _by_onednn(x: torch.Tensor) -> bool:
    return x.device.type == 'cpu' and x.dtype in _ONEDNN_TYPES


def matrix_dtype(x: torch.Tensor) -> torch.dtype:
    """What `x` is multiplied in: bfloat16 under autocast, else its own type."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def product(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    add: torch.Tensor | None = None,
) -> torch.Tensor:
    """x weight' + bias + add, without autograd.

    Parameters
    ----------
    x : torch.Tensor
        (n, k).
    weight : torch.Tensor
        (m, k), of any strides.
    bias : torch.Tensor, optional
        (m,); not together with `add`.
    add : torch.Tensor, optional
        (n, m).
    """
    if _by_onednn(x):
        if not weight.t().is_contiguous():
            weight = (
                weight.contiguous()
            )  # rows with gaps would get oneDNN's reference code, hundreds of times slower
        if add is None:
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')
        return torch.ops.mkldnn._linear_pointwise.binary(x, add, weight, bias, 'add')
    if add is None:
        return functional.linear(x, weight, bias)
    return torch.addmm(add, x, weight.t())


def weight_gradient(delta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """delta' x, without autograd: (n, m), (n, k) -> (m, k), both with rows of any distance."""
    if delta.dtype == torch.bfloat16:
        return torch.mm(delta.t(), x)  # reads both as they lie
    return product(delta.t(), x.contiguous().t())


class _Linear(torch.autograd.Function):
    """y = x W' + b, with the products of both passes by `product`."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        return (
            product(gradient, weight.t()) if ctx.needs_input_grad[0] else None,
            weight_gradient(gradient, x) if ctx.needs_input_grad[1] else None,
            gradient.sum(0) if ctx.needs_input_grad[2] else None,
        )


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``functional.linear`` with the fastest product that there is.

    Parameters
    ----------
    x : torch.Tensor
        (..., k).
    weight : torch.Tensor
        (m, k).
    bias : torch.Tensor, optional
        (m,).
    """
    if not _by_onednn(x):
        return functional.linear(x, weight, bias)
    dtype = matrix_dtype(x)
    y = _Linear.apply(
        x.reshape(-1, x.shape[-1]).to(dtype),
        weight.to(dtype),
        None if bias is None else bias.to(dtype),
    )
    return y.unflatten(0, x.shape[:-1])


def convolution_relu(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, strides, padding, dilation
) -> torch.Tensor:
    """max(x * weight + bias, 0), without autograd; arguments as those of ``functional.conv2d``."""
    if bias is not None:
        bias = bias.to(x.dtype)
    if _by_onednn(x):
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, padding, strides, dilation, 1, 'relu', [], ''
        )
    return functional.conv2d(x, weight, bias, strides, padding, dilation).relu_()
