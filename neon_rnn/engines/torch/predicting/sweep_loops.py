"""The sweeps of SpatialRNN in prediction, compiled: all steps of a network, or a layer, at once.

A step of a single image is a product of some ten microseconds, and PyTorch adds more than that to
each of its operations. Here MKL's products and tanh are called by compiled loops (`ops.team`).

Numbers are float32, or bits of bfloat16, uint16: the upper half of those of float32. `halves` is
None for float32, so that what is for the other type is not compiled. All functions that are
compiled are in this file, see `ops.loops`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy
import torch

from neon_rnn.engines.torch.ops import team

#: So few rows are multiplied in less time in float32 than in bfloat16.
FEW_ROWS = 16
#: Columns of a product that one thread computes at a time.
COLUMNS = 128

# Numba compiles these in; it does not find them in another module.
_SGEMM, _BGEMM, _TANH, _MODE = team.sgemm, team.bgemm, team.tanh, team.MODE
_USE_THREADS, _THREAD, _THREADS = team.use_threads, team.thread, team.threads
_BARRIER = team.barrier

#: Only other compiled functions call these, so there is no way in from Python to compile.
_options: dict[str, Any] = {'error_model': 'numpy', 'no_cpython_wrapper': True}
_compiled: Any = numba.njit(**_options)


@_compiled
def _widen(bits: Any, numbers: Any) -> None:
    """Turn a row of bfloat16 into float32."""
    target = numbers.view(numpy.uint32)
    for i in range(len(bits)):
        target[i] = numpy.uint32(bits[i]) << numpy.uint32(16)


@_compiled
def _store(numbers: Any, row: Any, halves: Any) -> None:
    """Copy a row of float32, or turn it into the nearest bfloat16, of two the even one."""
    if halves is None:
        for i in range(len(row)):
            row[i] = numbers[i]
    else:
        source = numbers.view(numpy.uint32)
        for i in range(len(row)):
            odd = (source[i] >> numpy.uint32(16)) & numpy.uint32(1)
            row[i] = (source[i] + numpy.uint32(0x7FFF) + odd) >> numpy.uint32(16)


@_compiled
def _add_product(
    result: Any, x: Any, weights: Any, sizes: Any, gaps: Any, turned: bool, halves: Any
) -> None:
    """Add x (n, k) times weights (k, m) to the result (n, m), float32.

    Arrays begin with the first number. `sizes` are n, k and m; `gaps` are the distances of the
    rows of x, weights and result. If `turned`, weights are (m, k).
    """
    numbers = numpy.array(sizes + gaps)
    n, k, m = numbers[0:].ctypes, numbers[1:].ctypes, numbers[2:].ctypes
    of_x, of_weights, of_result = numbers[3:].ctypes, numbers[4:].ctypes, numbers[5:].ctypes
    letters, one = numpy.array([78, 84], numpy.uint8), numpy.ones(1, numpy.float32)  # 'N' and 'T'
    # To BLAS rows are columns.
    first, second = letters[1 if turned else 0 :].ctypes, letters.ctypes
    alpha, beta = one.ctypes, one.ctypes
    a, b, c = weights.ctypes, x.ctypes, result.ctypes
    if halves is None:
        _SGEMM(first, second, m, n, k, alpha, a, of_weights, b, of_x, beta, c, of_result)
    else:
        _BGEMM(first, second, m, n, k, alpha, a, of_weights, b, of_x, beta, c, of_result)


@_compiled
def _distance(states: Any) -> int:
    """Return the distance of the rows of a step of states (outer, steps, inner, units)."""
    return (states.strides[2] if states.shape[0] == 1 else states.strides[0]) // states.itemsize


@_compiled
def _recur(states: Any, weights: Any, backward: bool) -> None:
    """Compute the states of a direction (outer, steps, inner, units) from its products, in place.

    They are float32.
    """
    outer, steps, inner, units = states.shape
    sizes, gaps = (outer * inner, units, units), (_distance(states), units, _distance(states))
    before = 0
    for i in range(steps):
        step = steps - 1 - i if backward else i
        if i:
            now, last = states[0, step, 0], states[0, before, 0]
            _add_product(now, last, weights, sizes, gaps, False, None)
        for o in range(outer):
            for r in range(inner):
                row = states[o, step, r]
                _TANH(units, row.ctypes, row.ctypes, _MODE)
        before = step


@_compiled
def _recur_in_halves(bits: Any, weights: Any, halves: Any, backward: bool) -> None:
    """The same in bfloat16, for weights of both types. Few rows are rounded once, at the end."""
    outer, steps, inner, units = bits.shape
    few = outer * inner < FEW_ROWS
    states = numpy.empty((outer, steps if few else 1, inner, units), numpy.float32)
    if few:
        for o in range(outer):
            for s in range(steps):
                for r in range(inner):
                    _widen(bits[o, s, r], states[o, s, r])
        _recur(states, weights, backward)
        for o in range(outer):
            for s in range(steps):
                for r in range(inner):
                    _store(states[o, s, r], bits[o, s, r], True)
        return
    sizes, gaps = (outer * inner, units, units), (_distance(bits), units, units)
    before = 0
    for i in range(steps):
        step = steps - 1 - i if backward else i
        for o in range(outer):
            for r in range(inner):
                _widen(bits[o, step, r], states[o, 0, r])
        if i:
            _add_product(states[0, 0, 0], bits[0, before, 0], halves, sizes, gaps, False, True)
        _TANH(outer * inner * units, states.ctypes, states.ctypes, _MODE)
        for o in range(outer):
            for r in range(inner):
                _store(states[o, 0, r], bits[o, step, r], True)
        before = step


@_compiled
def _multiply(x: Any, weights: Any, bias: Any, result: Any, halves: Any) -> None:
    """Compute x (n, k) times weights plus bias, float32 (n, m): the pieces of this thread.

    The weights of a piece lie together: (k, `COLUMNS`); for bfloat16 turned, which MKL multiplies
    faster.
    """
    (n, k), m = x.shape, result.shape[1]
    for start in range(_THREAD() * COLUMNS, m, _THREADS() * COLUMNS):
        end = min(start + COLUMNS, m)
        width, turned = end - start, halves is not None
        for row in range(n):
            _store(bias[start:end], result[row, start:end], None)
        gaps = (k, k if turned else width, m)
        place, piece = result[0, start:], weights[start * k :]
        _add_product(place, x[0], piece, (n, k, width), gaps, turned, halves)


@_compiled
def _sweep(
    states: Any, recurrent: Any, shape: tuple[int, int, int], result: Any, halves: Any
) -> None:
    """Compute the directions of this thread from products (rows, directions, units), and store.

    `shape` is how the rows lie: (outer, steps, inner). Those of the result are (inner, outer,
    steps), so each of the two sweeps leaves its own steps next to each other.
    """
    rows, directions, units = states.shape
    outer, steps, inner = shape
    for direction in range(_THREAD(), directions, _THREADS()):
        in_time = states.reshape(outer, steps, inner, directions, units)[:, :, :, direction]
        _recur(in_time, recurrent[direction], direction == 1)
        for row in range(rows):
            place = row % inner * outer * steps + row // inner
            _store(states[row, direction], result[place, direction], halves)


@_compiled
def _one_image(
    image: Any, blocks: Any, states: Any, result: Any, networks: Any, across: int, halves: Any
) -> None:
    """Compute a layer for one image (H, W * C); all threads of a team call it together.

    `blocks` (across * down, pixels * C) and `states` (across * down, directions, units), float32,
    lie column by column. `result` is (down * across, directions, units). All but the states are of
    the type to compute in.
    """
    (weights, bias, recurrent), (next_weights, next_bias, next_recurrent) = networks
    count, directions, units = states.shape
    down = count // across
    rows, length = len(image) // down, image.shape[1] // across
    for block in range(_THREAD(), count, _THREADS()):
        top, left = block % down * rows, block // down * length
        for r in range(rows):
            pixels, place = image[top + r, left : left + length], blocks[block, r * length :]
            for i in range(length):
                place[i] = pixels[i]
    _BARRIER()
    sums = states.reshape(count, directions * units)
    _multiply(blocks, weights, bias, sums, halves)
    _BARRIER()
    _sweep(states, recurrent, (across, down, 1), result, halves)
    _BARRIER()
    between = result.reshape(count, directions * units)
    _multiply(between, next_weights, next_bias, sums, halves)
    _BARRIER()
    _sweep(states, next_recurrent, (1, across, down), result, halves)


@_compiled
def _image(addresses: Any, number: Any, halves: Any) -> None:
    """Find the arrays of `_one_image` in memory."""
    sizes = numba.carray(addresses[0], (6,), numpy.int64)
    height, row, across, count = sizes[0], sizes[1], sizes[2], sizes[3]
    directions, units = sizes[4], sizes[5]
    features, outputs = height * row // count, directions * units
    recurrent = (directions, units, units)
    before = _USE_THREADS(1)
    _one_image(
        numba.carray(addresses[1], (height, row), number),
        numba.carray(addresses[2], (count, features), number),
        numba.carray(addresses[3], (count, directions, units), numpy.float32),
        numba.carray(addresses[4], (count, directions, units), number),
        (
            (
                numba.carray(addresses[5], (features * outputs,), number),
                numba.carray(addresses[6], (outputs,), numpy.float32),
                numba.carray(addresses[7], recurrent, numpy.float32),
            ),
            (
                numba.carray(addresses[8], (outputs * outputs,), number),
                numba.carray(addresses[9], (outputs,), numpy.float32),
                numba.carray(addresses[10], recurrent, numpy.float32),
            ),
        ),
        across,
        halves,
    )
    _USE_THREADS(before)


@_compiled
def _network(addresses: Any, number: Any, halves: Any) -> None:
    """Find the arrays of a network in memory, and compute the directions of this thread."""
    sizes = numba.carray(addresses[0], (5,), numpy.int64)
    states = numba.carray(addresses[1], (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]), number)
    shape = (sizes[3], sizes[4], sizes[4])
    weights = numba.carray(addresses[2], shape, numpy.float32)
    before = _USE_THREADS(1)
    for direction in range(_THREAD(), sizes[3], _THREADS()):
        of_direction, backward = states[:, :, :, direction], direction == 1
        if halves is None:
            _recur(of_direction, weights[direction], backward)
        else:
            in_halves = numba.carray(addresses[3], shape, number)
            _recur_in_halves(of_direction, weights[direction], in_halves[direction], backward)
    _USE_THREADS(before)


def _network_of_float32(addresses: Any) -> None:
    _network(addresses, numpy.float32, None)


def _network_of_bfloat16(addresses: Any) -> None:
    _network(addresses, numpy.uint16, True)


def _image_of_float32(addresses: Any) -> None:
    _image(addresses, numpy.float32, None)


def _image_of_bfloat16(addresses: Any) -> None:
    _image(addresses, numpy.uint16, True)


_OF_NETWORK = {torch.float32: _network_of_float32, torch.bfloat16: _network_of_bfloat16}
_OF_IMAGE = {torch.float32: _image_of_float32, torch.bfloat16: _image_of_bfloat16}


class Weights(NamedTuple):
    """The weights of a network: of the input in the order of `_multiply`, bias, recurrent ones.

    The bias (directions * units,) and the recurrent weights (directions, units, units) are float32.
    The latter are kept in the type to compute in too, `halves`.
    """

    product: torch.Tensor
    bias: torch.Tensor
    recurrent: torch.Tensor
    halves: torch.Tensor

    @classmethod
    def of(
        cls, weight: torch.Tensor, bias: torch.Tensor, recurrent: torch.Tensor, dtype: torch.dtype
    ) -> Weights:
        """Put input weights (directions * units, features) in order, of the type to compute in."""
        pieces = weight.to(dtype).split(COLUMNS)
        if dtype == torch.float32:
            pieces = [piece.T for piece in pieces]
        product = torch.cat([piece.flatten() for piece in pieces])
        recurrent = recurrent.float().contiguous()
        return cls(product, bias.float(), recurrent, recurrent.to(dtype))


def recur(states: torch.Tensor, weights: Weights) -> None:
    """Turn the input products of an Elman network with tanh into its states, in place.

    Where `team.AVAILABLE`. The second direction begins with the last step.

    Parameters
    ----------
    states : torch.Tensor
        (outer, steps, inner, directions, units), float32 or bfloat16, contiguous. The rows of a
        step, outer times inner, are independent of each other; `outer` or `inner` is 1.
    weights : Weights
        A state (row) times the recurrent weights of its direction is added to the next product.

    Raises
    ------
    ValueError
        A tensor is not contiguous, or `outer` and `inner` are both more than 1.
    """
    outer, _, inner, directions, _ = states.shape
    if min(outer, inner) > 1:
        raise ValueError(f'the rows of a step lie in two dimensions: {outer} x {inner}')
    recurrent = weights.recurrent, weights.halves
    team.run(_OF_NETWORK[states.dtype], directions, states.shape, states, *recurrent)


def sweep_image(
    image: torch.Tensor, down: int, across: int, vertical: Weights, horizontal: Weights
) -> torch.Tensor:
    """Compute SpatialRNN for one image, spread over PyTorch's threads. Where `team.AVAILABLE`.

    Parameters
    ----------
    image : torch.Tensor
        (H, W, C), float32 or bfloat16, contiguous.
    down, across : int
        Blocks of a column, and of a row.
    vertical, horizontal : Weights

    Returns
    -------
    torch.Tensor
        (down, across, directions * units).

    Raises
    ------
    ValueError
        A tensor is not contiguous.
    """
    height, width, channels = image.shape
    directions, units, _ = vertical.recurrent.shape
    count = down * across
    blocks = image.new_empty(count, image.numel() // count)
    states = image.new_empty(count, directions * units, dtype=torch.float32)
    result = image.new_empty(down, across, directions * units)
    team.run(
        _OF_IMAGE[image.dtype],
        torch.get_num_threads(),
        (height, width * channels, across, count, directions, units),
        *(image, blocks, states, result),
        *vertical[:3],
        *horizontal[:3],
    )
    return result
