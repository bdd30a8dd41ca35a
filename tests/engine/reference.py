"""The arithmetic of neon 2.6.0 in plain NumPy: one image, one block, one pixel, one step at a time.

Written out from what was measured on neon and from the formulas in its documentation, never from
the engines. Slow and obvious on purpose; float64 throughout. Batch-first, as the torch engine is.
"""

import itertools
import math

import numpy as np


def tanh(x):
    return np.tanh(x)


def logistic(x):
    return 1 / (1 + np.exp(-x))


# Initial draws


def kaiming(rng, shape, local=True):
    """Sample normal values of standard deviation sqrt(2 / fan in).

    The weight of a convolution is (C*R*S, K), of a linear layer (nout, nin).
    """
    return rng.normal(0, math.sqrt(2 / shape[0 if local else 1]), shape)


def glorot_uniform(rng, shape):
    """Uniform on (-k, k), k = sqrt(6 / (shape[0] + shape[1]))."""
    k = math.sqrt(6 / (shape[0] + shape[1]))
    return rng.uniform(-k, k, shape)


def xavier(rng, shape, local=True):
    """Uniform on (-k, k), k = sqrt(3 / fan in)."""
    k = math.sqrt(3 / shape[0 if local else 1])
    return rng.uniform(-k, k, shape)


def draw_recurrent(rng, features, units, gates=1, directions=1):
    """Sample neon's packed W of a recurrent layer with `glorot_uniform`.

    (directions * (features + units + 1), gates * units).

    Input weights forward, input weights backward, recurrent weights forward, recurrent weights
    backward, each gate by gate; then the biases, which are zero.
    """
    parts = []
    for size in (features, units):
        for _ in range(directions):
            for _ in range(gates):
                parts.append(glorot_uniform(rng, (units, size)))
    parts.append(np.zeros(directions * gates * units))
    return np.concatenate([part.ravel() for part in parts]).reshape(-1, gates * units)


# Feed-forward layers


def convolution(x, weight, window, bias=None, padding=(0, 0), strides=(1, 1), dilation=(1, 1)):
    """Cross-correlation of images (N, C, H, W) with neon's weight (C*R*S, K)."""
    count, channels, height, width = x.shape
    rows, columns = window
    maps = weight.shape[1]
    kernel = weight.reshape(channels, rows, columns, maps)
    out_height = (
        math.floor((height - (dilation[0] * (rows - 1) + 1) + 2 * padding[0]) / strides[0]) + 1
    )
    out_width = (
        math.floor((width - (dilation[1] * (columns - 1) + 1) + 2 * padding[1]) / strides[1]) + 1
    )
    y = np.zeros((count, maps, out_height, out_width))
    for n, k, p, q in np.ndindex(*y.shape):
        total = 0.0 if bias is None else float(bias[k, 0])
        for c, r, s in np.ndindex(channels, rows, columns):
            i = p * strides[0] - padding[0] + r * dilation[0]
            j = q * strides[1] - padding[1] + s * dilation[1]
            if 0 <= i < height and 0 <= j < width:
                total += x[n, c, i, j] * kernel[c, r, s, k]
        y[n, k, p, q] = total
    return y


def pooling(x, window, op='max', padding=(0, 0), strides=(1, 1)):
    """Max or average of the real pixels under the window, images (N, C, H, W)."""
    count, channels, height, width = x.shape
    out_height = math.floor((height - window[0] + 2 * padding[0]) / strides[0]) + 1
    out_width = math.floor((width - window[1] + 2 * padding[1]) / strides[1]) + 1
    y = np.zeros((count, channels, out_height, out_width))
    for n, c, p, q in np.ndindex(*y.shape):
        seen = []
        for r, s in itertools.product(range(window[0]), range(window[1])):
            i, j = p * strides[0] - padding[0] + r, q * strides[1] - padding[1] + s
            if 0 <= i < height and 0 <= j < width:
                seen.append(x[n, c, i, j])
        y[n, c, p, q] = max(seen) if op == 'max' else sum(seen) / len(seen)
    return y


class BatchNorm:
    """Batch norm a feature map over batch and pixels, with running statistics (C,)."""

    def __init__(self, channels, rho=0.9, eps=1e-3):
        self.rho, self.eps = rho, eps
        self.gmean, self.gvar = np.zeros(channels), np.zeros(channels)

    def __call__(self, x, beta, gamma, inference=False):
        y = np.empty_like(x)
        for channel in range(x.shape[1]):
            values = x[:, channel]
            if inference:
                mean, variance = self.gmean[channel], self.gvar[channel]
            else:
                mean = values.sum() / values.size
                variance = ((values - mean) ** 2).sum() / values.size
                self.gmean[channel] = self.rho * self.gmean[channel] + (1 - self.rho) * mean
                self.gvar[channel] = self.rho * self.gvar[channel] + (1 - self.rho) * variance
            y[:, channel] = (
                gamma[channel] * (values - mean) / math.sqrt(variance + self.eps) + beta[channel]
            )
        return y


# Recurrent layers


def unpack(weight, features, units, gates, directions):
    """neon's packed W -> a list of (input weights, recurrent weights, bias), one a direction."""
    values = weight.ravel()
    taken = 0
    parts = []
    for size in (features, units, 1):
        row = []
        for _ in range(directions):
            row.append(values[taken : taken + gates * units * size].reshape(gates * units, size))
            taken += gates * units * size
        parts.append(row)
    assert taken == values.size
    return [(w, r, b[:, 0]) for w, r, b in zip(*parts, strict=True)]


def elman(x, state, w, r, b):
    """h = tanh(W x + R h + b)."""
    (h,) = state
    return (tanh(w @ x + r @ h + b),)


def lstm(x, state, w, r, b):
    """Gates in neon's order: input, forget, output, modulation."""
    h, c = state
    i, f, o, g = np.split(w @ x + r @ h + b, 4)
    c = logistic(f) * c + logistic(i) * tanh(g)
    return logistic(o) * tanh(c), c


def gru(x, state, w, r, b):
    """Gates in neon's order: reset, update, candidate; h = (1 - z) h + z candidate."""
    (h,) = state
    w_reset, w_update, w_candidate = np.split(w, 3)
    r_reset, r_update, r_candidate = np.split(r, 3)
    b_reset, b_update, b_candidate = np.split(b, 3)
    reset = logistic(w_reset @ x + r_reset @ h + b_reset)
    update = logistic(w_update @ x + r_update @ h + b_update)
    candidate = tanh(w_candidate @ x + r_candidate @ (reset * h) + b_candidate)
    return ((1 - update) * h + update * candidate,)


#: Class name -> (step, gates, directions, vectors of state).
CELLS = {
    'Recurrent': (elman, 1, 1, 1),
    'BiRNN': (elman, 1, 2, 1),
    'LSTM': (lstm, 4, 1, 2),
    'BiLSTM': (lstm, 4, 2, 2),
    'GRU': (gru, 3, 1, 1),
    'BiGRU': (gru, 3, 2, 1),
}


def recurrent(cell, weight, sequence, units):
    """Sweep one sequence, a list of vectors (features,), from a zero state.

    Returns a list of vectors (directions * units,).
    """
    step, gates, directions, state_size = CELLS[cell]
    outputs = [[None] * directions for _ in sequence]
    for direction, weights in enumerate(unpack(weight, len(sequence[0]), units, gates, directions)):
        state = (np.zeros(units),) * state_size
        positions = range(len(sequence))
        for position in positions if direction == 0 else reversed(positions):
            state = step(sequence[position], state, *weights)
            outputs[position][direction] = state[0]
    return [np.concatenate(each) for each in outputs]


def spatial_rnn(cell, vertical, horizontal, x, block, units):
    """Apply SpatialRNN to images (N, C, H, W) with blocks of `block` = (rows, columns) pixels.

    Returns (N, directions * units, I, J).

    A block is flattened (C, row, column). First every column of blocks, top to bottom (and bottom
    to top), then every row of what came out, left to right (and right to left).
    """
    count, _, height, width = x.shape
    down, across = height // block[0], width // block[1]
    results = []
    for n in range(count):
        swept = [[None] * across for _ in range(down)]
        for j in range(across):
            column = [
                x[
                    n, :, i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]
                ].ravel()
                for i in range(down)
            ]
            for i, output in enumerate(recurrent(cell, vertical, column, units)):
                swept[i][j] = output
        rows = [recurrent(cell, horizontal, swept[i], units) for i in range(down)]
        results.append(np.array(rows).transpose(2, 0, 1))
    return np.array(results)


# Training


def softmax(x):
    """Of each row."""
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def cross_entropy(y, labels):
    """Return the mean of -log of the probability of the right class, never below exp(-50)."""
    return sum(
        -math.log(max(row[label], math.exp(-50))) for row, label in zip(y, labels, strict=True)
    ) / len(y)


def momentum_step(parameter, velocity, gradient, learning_rate, momentum_coef, wdecay):
    """`gradient` is that of the mean cost; returns the new parameter and velocity."""
    velocity = momentum_coef * velocity - learning_rate * (gradient + wdecay * parameter)
    return parameter + velocity, velocity
