"""Loops over maps that Numba compiles: one pass where PyTorch's operations take several.

On a processor with fast products, passes over memory take most of a training step. A loop here is a
Python function on NumPy arrays. Numba compiles it at its first call with each type, which takes
some seconds, and keeps the machine code on disk, in ``__pycache__``. A compiled loop does not hold
Python's lock, so threads run it side by side (`ops.arrays.spread`).

Maps are arrays (n, H, W, C). NumPy has no bfloat16: such a map is an array of the bits, uint16.
Factors of feature maps are (C,), in float32 for bfloat16.

All loops and what they call are in this file: Numba compiles again when the file has changed, but
does not look at others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neon_rnn.engines.torch.ops import team
from neon_rnn.support import compiling

#: Lines of pixels whose numbers are added up in float32, before the sums go on in float64.
_LINES = 32
_INT32 = ir.IntType(32)
# Numba does not find them in another module.
_THREAD, _THREADS = team.thread, team.threads
#: Part of the loop that calls it, not a function of its own. (Numba's type hints do not know that.)
_inlined: Any = intrinsic


def _loop(function: Callable, **more: Any) -> Any:
    """Compile a function on arrays and numbers."""
    options: dict[str, Any] = {'nogil': True, 'error_model': 'numpy', **more}
    return compiling.kept(functools.partial(numba.njit, **options), function)


@_inlined
def _widen(typing: Any, number: Any) -> Any:
    """Turn the bits of a bfloat16 or a float32 into a float32; other numbers stay as they are."""
    if number not in (types.uint16, types.int16, types.int32):
        return number(number), lambda context, builder, signature, arguments: arguments[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = arguments[0]
        if number.bitwidth == 16:
            bits = builder.shl(builder.zext(bits, _INT32), _INT32(16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(number), generate


@_inlined
def _narrow(typing: Any, number: Any, line: Any) -> Any:
    """Turn a number into what a line holds: for bfloat16, the bits of the nearest one.

    Of two that are equally near, the even one. What is not a number stays so: processors make only
    those whose lower bits are 0.
    """
    if line.dtype != types.uint16:
        same = line.dtype(line.dtype, line)
        return same, lambda context, builder, signature, arguments: arguments[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _INT32)
        odd = builder.and_(builder.lshr(bits, _INT32(16)), _INT32(1))
        rounded = builder.add(builder.add(bits, _INT32(0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, _INT32(16)), ir.IntType(16))

    return types.uint16(types.float32, line), generate


@_loop
def _repeated(values: Any, length: int) -> Any:
    """Repeat factors of feature maps for a line of pixels, so that one loop runs along it."""
    repeated = numpy.empty(length, values.dtype)
    for start in range(0, length, len(values)):
        repeated[start : start + len(values)] = values
    return repeated


@_loop
def _move(of_line: Any, total: Any) -> None:
    """Add the sums of a line of pixels to those of the feature maps, and set them to 0."""
    channels = len(total)
    for start in range(0, len(of_line), channels):
        for c in range(channels):
            total[c] += of_line[start + c]
    of_line[:] = 0


@_loop
def scale_and_shift(
    maps: Any, result: Any, shortcut: Any, scale: Any, shift: Any, rectified: bool
) -> None:
    """Compute maps * scale + shift + shortcut, then the rectifier if `rectified`.

    `shortcut` is None or shaped as the maps.
    """
    images, height, width, channels = maps.shape
    row = width * channels
    scales, shifts = _repeated(scale, row), _repeated(shift, row)
    floor = numpy.float32(0 if rectified else -numpy.inf)
    lines, targets = maps.reshape(-1, row), result.reshape(-1, row)
    if shortcut is not None:
        others = shortcut.reshape(-1, row)
    for h in range(images * height):
        line, target = lines[h], targets[h]
        if shortcut is not None:
            other = others[h]
        for i in range(row):
            total = _widen(line[i]) * scales[i] + shifts[i]
            if shortcut is not None:
                total += _widen(other[i])
            kept = floor if total < floor else total
            target[i] = _narrow(kept, target)


@_loop
def norm_gradient(
    error: Any, maps: Any, result: Any, scale: Any, slope: Any, offset: Any, rectified: bool
) -> None:
    """Compute scale * error - slope * maps - offset; 0 where maps are not positive, if `rectified`.

    That is the gradient of batch norm's input, `maps`, from that of its output, `error`.
    """
    images, height, width, channels = maps.shape
    row = width * channels
    scales, slopes, offsets = _repeated(scale, row), _repeated(slope, row), _repeated(offset, row)
    floor = numpy.float32(0 if rectified else -numpy.inf)
    errors, lines, targets = error.reshape(-1, row), maps.reshape(-1, row), result.reshape(-1, row)
    for h in range(images * height):
        of_output, line, target = errors[h], lines[h], targets[h]
        for i in range(row):
            value = _widen(line[i])
            total = _widen(of_output[i]) * scales[i] - offsets[i] - slopes[i] * value
            kept = numpy.float32(0) if value <= floor else total
            target[i] = _narrow(kept, target)


@_loop
def pixels(images: Any, result: Any, scale: Any, shift: Any) -> None:
    """Compute images * scale + shift and a map of ones: (n, C, H, W) -> (n, H, W, C + 1).

    `scale` and `shift` are tuples of C numbers: their length is part of their type, so the compiler
    knows C and computes several pixels at once.
    """
    count, _, height, width = images.shape
    channels, one = len(scale), numpy.float32(1)
    for n in range(count):
        for h in range(height):
            target = result[n, h].reshape(-1)
            for x in range(width):
                begin = x * (channels + 1)
                for c in range(channels):
                    value = images[n, c, h, x] * scale[c] + shift[c]
                    target[begin + c] = _narrow(value, target)
                target[begin + channels] = _narrow(one, target)


@functools.partial(_loop, fastmath={'reassoc', 'contract'})
def mean_of_products(maps: Any, weights: Any, bias: Any, result: Any) -> None:
    """Compute the means of the rectified products of all pixels: (n, H, W, C) -> (n, K).

    `weights` are (K, C), `bias` (K,). The compiler may add up a product in another order, which it
    needs to do to use vectors.
    """
    images, height, width, channels = maps.shape
    pixels = maps.reshape(images, height * width, channels)
    for n in range(images):
        for k in range(len(weights)):
            weight, total = weights[k], numpy.float32(0)
            for p in range(height * width):
                pixel, product = pixels[n, p], bias[k]
                for c in range(channels):
                    product += _widen(pixel[c]) * weight[c]
                total += max(product, numpy.float32(0))
            result[n, k] = total / numpy.float32(height * width)


@_loop
def sums(maps: Any, shift: Any) -> Any:
    """Return the sums of maps - shift and of its squares: (2, C)."""
    images, height, width, channels = maps.shape
    row = width * channels
    shifts, lines = _repeated(shift, row), maps.reshape(-1, row)
    of_values, of_squares = numpy.zeros(row, shift.dtype), numpy.zeros(row, shift.dtype)
    totals = numpy.zeros((2, channels))
    for h in range(images * height):
        line = lines[h]
        for i in range(row):
            value = _widen(line[i]) - shifts[i]
            of_values[i] += value
            of_squares[i] += value * value
        if (h + 1) % _LINES == 0 or h + 1 == images * height:
            _move(of_values, totals[0])
            _move(of_squares, totals[1])
    return totals


@_loop
def norm_sums(error: Any, maps: Any, output: Any, masked: Any, mean: Any, inverse: Any) -> Any:
    """Return the sums of error * (maps - mean) * inverse and of error: (2, C).

    They are the gradients of gamma and beta. `maps` is the input of the batch norm, `error` the
    gradient of its output. If a rectifier follows, `error` is that of the rectifier's `output`; the
    one of its input is stored in `masked`. Otherwise both are None.
    """
    images, height, width, channels = maps.shape
    row = width * channels
    means, inverses = _repeated(mean, row), _repeated(inverse, row)
    errors, lines = error.reshape(-1, row), maps.reshape(-1, row)
    if output is not None:
        outputs, targets = output.reshape(-1, row), masked.reshape(-1, row)
    of_gamma, of_beta = numpy.zeros(row, mean.dtype), numpy.zeros(row, mean.dtype)
    totals = numpy.zeros((2, channels))
    for h in range(images * height):
        of_output, line = errors[h], lines[h]
        if output is not None:
            rectified, target = outputs[h], targets[h]
        for i in range(row):
            value = _widen(of_output[i])
            if output is not None:
                value = numpy.float32(0) if _widen(rectified[i]) <= 0 else value
                target[i] = _narrow(value, target)
            of_beta[i] += value
            of_gamma[i] += value * ((_widen(line[i]) - means[i]) * inverses[i])
        if (h + 1) % _LINES == 0 or h + 1 == images * height:
            _move(of_gamma, totals[0])
            _move(of_beta, totals[1])
    return totals


@_loop
def largest(
    maps: Any, pooled: Any, places: Any, sign: Any, size: Any, strides: Any, padding: Any
) -> None:
    """Compute the largest value of each window, and the place within the window that has it.

    Windows have `size`, move by `strides` and begin `padding` outside the map: (rows, columns)
    each. Their places are counted row by row; of equal values the first one counts. `sign` is -1
    for feature maps of which the smallest value is wanted, else 1.
    """
    images, height, width, channels = maps.shape
    _, rows, columns, _ = pooled.shape
    row, edge = width * channels, padding[1] * channels
    lines = maps.reshape(images, height, row)
    signs = _repeated(sign, row)
    # First of each column of a row of windows, with padding at both ends, then of the windows.
    of_columns = numpy.full(row + 2 * edge, -numpy.inf, sign.dtype)
    places_of_columns = numpy.zeros(row + 2 * edge, numpy.int32)
    inside, places_inside = of_columns[edge : edge + row], places_of_columns[edge : edge + row]
    best, best_place = numpy.empty(channels, sign.dtype), numpy.empty(channels, numpy.int32)
    for image in range(images):
        for y in range(rows):
            top = y * strides[0] - padding[0]
            start = max(top, 0)
            for h in range(start, min(top + size[0], height)):
                line, here = lines[image, h], numpy.int32((h - top) * size[1])
                for i in range(row):
                    value, other, there = _widen(line[i]) * signs[i], inside[i], places_inside[i]
                    # What is not a number counts as the largest.
                    takes = (h == start) | (value > other) | (value != value)
                    inside[i] = value if takes else other
                    places_inside[i] = here if takes else there
            for x in range(columns):
                for w in range(size[1]):
                    begin = (x * strides[1] + w) * channels
                    column = of_columns[begin : begin + channels]
                    place = places_of_columns[begin : begin + channels]
                    for c in range(channels):
                        value, other, there = column[c], best[c], best_place[c]
                        here = numpy.int32(place[c] + numpy.int32(w))
                        takes = (value > other) | ((value == other) & (here < there))
                        takes = (w == 0) | takes | (value != value)
                        best[c] = value if takes else other
                        best_place[c] = here if takes else there
                of_window, place_of_window = pooled[image, y, x], places[image, y, x]
                for c in range(channels):
                    of_window[c] = _narrow(best[c] * sign[c], of_window)
                    place_of_window[c] = best_place[c]


@_loop
def largest_of_rectified(
    bits: Any,
    pooled: Any,
    flip: Any,
    sign: Any,
    shift: Any,
    size: Any,
    strides: Any,
    padding: Any,
    start: int,
    end: int,
) -> None:
    """Compute sign * number + shift of the largest number of each window, without places.

    Only for the rows `start` to `end` of windows.

    `bits` are those of numbers that are not negative (and not -0.0), as signed integers, which have
    the same order and are compared in less time. Where `sign` is -1, the smallest number is taken:
    there `flip` is the largest integer, which turns the order round, else 0. It is None if no sign
    is -1. Windows as for `largest`.
    """
    images, height, width, channels = bits.shape
    columns = pooled.shape[2]
    row, edge = width * channels, padding[1] * channels
    lines = bits.reshape(images, height, row)
    # No number is below 0, so the padding changes nothing.
    of_columns = numpy.zeros(row + 2 * edge, bits.dtype)
    inside, flipped = of_columns[edge : edge + row], numpy.empty(row, bits.dtype)
    best = numpy.empty(channels, bits.dtype)
    if flip is not None:
        flips = _repeated(flip, row)
    for image in range(images):
        for y in range(start, end):
            top = y * strides[0] - padding[0]
            inside[:] = 0
            for h in range(max(top, 0), min(top + size[0], height)):
                line = lines[image, h]
                if flip is not None:
                    for i in range(row):
                        flipped[i] = line[i] ^ flips[i]
                    line = flipped
                for i in range(row):
                    value, other = line[i], inside[i]
                    inside[i] = value if value > other else other
            for x in range(columns):
                best[:] = 0
                for w in range(size[1]):
                    begin = (x * strides[1] + w) * channels
                    column = of_columns[begin : begin + channels]
                    for c in range(channels):
                        value, other = column[c], best[c]
                        best[c] = value if value > other else other
                of_window = pooled[image, y, x]
                for c in range(channels):
                    if flip is not None:
                        best[c] = best[c] ^ flip[c]
                    of_window[c] = _narrow(_widen(best[c]) * sign[c] + shift[c], of_window)


@_loop
def _largest_of_image(addresses: Any, integer: Any, number: Any) -> None:
    """Compute this thread's share of `largest_of_rectified`, for one image."""
    sizes = numba.carray(addresses[0], (11,), numpy.int64)
    height, width, channels, rows, columns = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    bits = numba.carray(addresses[1], (1, height, width, channels), integer)
    pooled = numba.carray(addresses[2], (1, rows, columns, channels), number)
    sign = numba.carray(addresses[3], (channels,), numpy.float32)
    shift = numba.carray(addresses[4], (channels,), numpy.float32)
    size, strides, padding = (sizes[5], sizes[6]), (sizes[7], sizes[8]), (sizes[9], sizes[10])
    part, parts = _THREAD(), _THREADS()
    start, end = rows * part // parts, rows * (part + 1) // parts
    largest_of_rectified(bits, pooled, None, sign, shift, size, strides, padding, start, end)


def largest_of_float32(addresses: Any) -> None:
    """`largest_of_rectified` of one image, without flips, for `team.run`.

    Sizes: height, width, channels, rows, columns, then `size`, `strides` and `padding`. Tensors:
    bits, pooled, sign, shift.
    """
    _largest_of_image(addresses, numpy.int32, numpy.float32)


def largest_of_bfloat16(addresses: Any) -> None:
    """The same for bfloat16."""
    _largest_of_image(addresses, numpy.int16, numpy.uint16)


@_loop
def largest_gradient(
    error: Any,
    places: Any,
    result: Any,
    maps: Any,
    scale: Any,
    slope: Any,
    offset: Any,
    size: Any,
    strides: Any,
    padding: Any,
    rectified: bool,
) -> None:
    """Compute the gradient of the maps of `largest` from that of its values, `error`.

    Each error, times `scale`, goes to the place that was the largest. `maps` is None, or the
    largest values went through a batch norm behind the pooling. Then the rest is as in
    `norm_gradient`.
    """
    images, height, width, channels = result.shape
    _, rows, columns, _ = error.shape
    row, pooled_row, edge = width * channels, columns * channels, padding[1] * channels
    errors, targets = error.reshape(images, rows, pooled_row), result.reshape(images, height, row)
    scales = _repeated(scale, pooled_row)
    scaled = numpy.empty(pooled_row, scale.dtype)
    sums = numpy.empty(row + 2 * edge, scale.dtype)
    inside = sums[edge : edge + row]
    if maps is not None:
        lines = maps.reshape(images, height, row)
        slopes, offsets = _repeated(slope, row), _repeated(offset, row)
        floor = numpy.float32(0 if rectified else -numpy.inf)
    for image in range(images):
        for h in range(height):
            sums[:] = 0
            below = h + padding[0]  # the rows of windows that reach this row of the map follow
            for y in range(max((below - size[0]) // strides[0] + 1, 0), rows):
                if y * strides[0] > below:
                    break
                of_pooled = errors[image, y]
                for i in range(pooled_row):
                    scaled[i] = _widen(of_pooled[i]) * scales[i]
                first_place = (below - y * strides[0]) * size[1]
                for x in range(columns):
                    of_window = scaled[x * channels : (x + 1) * channels]
                    place = places[image, y, x]
                    for w in range(size[1]):
                        begin = (x * strides[1] + w) * channels
                        pixel, here = sums[begin : begin + channels], numpy.int32(first_place + w)
                        for c in range(channels):
                            value, before = of_window[c], pixel[c]
                            taken = numpy.int32(place[c]) == here
                            pixel[c] = before + value if taken else before
            target = targets[image, h]
            if maps is None:
                for i in range(row):
                    target[i] = _narrow(inside[i], target)
            else:
                line = lines[image, h]
                for i in range(row):
                    value = _widen(line[i])
                    total = inside[i] - offsets[i] - slopes[i] * value
                    kept = numpy.float32(0) if value <= floor else total
                    target[i] = _narrow(kept, target)
