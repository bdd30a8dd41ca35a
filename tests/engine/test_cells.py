"""The cells that neon does not have, against one step at a time in NumPy and finite differences."""

import harness
import numpy as np
import pytest
import reference

FEATURES, STEPS, UNITS, BATCH = 4, 5, 3, 3
tanh = np.tanh


def jordan(x, y, w, r, b, v, c):
    """The output is fed back: (output, what the next step reads)."""
    y = v @ tanh(w @ x + r @ y + b) + c
    return y, y


def deep_transition(x, h, w, r, b, v, c):
    h = tanh(v @ tanh(w @ x + r @ h + b) + c)
    return h, h


def deep_output(x, h, w, r, b, v, c):
    h = tanh(w @ x + r @ h + b)
    return tanh(v @ h + c), h


CELLS = {'BiJordan': jordan, 'BiDeepTransition': deep_transition, 'BiDeepOutput': deep_output}


def expected_outputs(cell, weights, sequence):
    """Both directions over one sequence (steps, features): (steps, 2 * units)."""
    packed = weights['0.V'].ravel()
    second = packed[: 2 * UNITS * UNITS].reshape(2, UNITS, UNITS)
    second_bias = packed[2 * UNITS * UNITS :].reshape(2, UNITS)
    outputs = np.zeros((len(sequence), 2 * UNITS))
    for direction, first in enumerate(reference.unpack(weights['0.W'], FEATURES, UNITS, 1, 2)):
        state = np.zeros(UNITS)
        steps = range(len(sequence))
        for step in steps if direction == 0 else reversed(steps):
            output, state = CELLS[cell](
                sequence[step], state, *first, second[direction], second_bias[direction]
            )
            outputs[step, direction * UNITS : (direction + 1) * UNITS] = output
    return outputs


def build(nn, cell):
    layer = getattr(nn, cell)(
        output_size=UNITS, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True
    )
    model = harness.build(nn, [layer], (FEATURES, STEPS))
    return model, harness.randomise(nn, model)


def sequences():
    """(batch, features, steps)."""
    return np.random.RandomState(4).normal(size=(BATCH, FEATURES, STEPS))


@pytest.mark.parametrize('cell', sorted(CELLS))
def test_sequences_are_the_reference(nn, cell):
    model, weights = build(nn, cell)
    assert {name: values.shape for name, values in weights.items()} == {
        '0.W': (2 * (FEATURES + UNITS + 1), UNITS),
        '0.V': (2 * (UNITS + 1), UNITS),
    }
    assert model.layers.out_shape == (2 * UNITS, STEPS)
    x = sequences()
    expected = [expected_outputs(cell, weights, each.T).T for each in x]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)


def test_stacked_is_one_network_over_the_other(nn):
    model, weights = build(nn, 'StackedBiRNN')
    assert list(weights) == ['0.first.W', '0.second.W']
    x = sequences()
    expected = []
    for each in x:
        first = reference.recurrent('BiRNN', weights['0.first.W'], list(each.T), UNITS)
        expected.append(
            np.transpose(reference.recurrent('BiRNN', weights['0.second.W'], first, UNITS))
        )
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)


@pytest.mark.parametrize('cell', [*sorted(CELLS), 'StackedBiRNN'])
def test_gradients_are_the_finite_differences(nn, cell):
    model, _ = build(nn, cell)
    harness.check_gradients(nn, model, sequences())


@pytest.mark.parametrize('cell', [*sorted(CELLS), 'StackedBiRNN'])
def test_in_a_spatial_rnn_the_block_is_flattened_channel_by_channel(nn, cell):
    """SpatialRNN reads blocks place by place; the output has to be that of (C, row, column)."""
    params = dict(
        output_size=UNITS, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True
    )
    model = harness.build(
        nn, [nn.SpatialRNN((2, 4, 2), (2, 2, 2), getattr(nn, cell), params)], (2, 4, 2)
    )
    weights = harness.randomise(nn, model)
    across = harness.build(nn, [getattr(nn, cell)(**params)], (2 * UNITS, 1))
    down = harness.build(nn, [getattr(nn, cell)(**params)], (8, 2))
    for single, part in ((down, '0.vertical.'), (across, '0.horizontal.')):
        nn.set_weights(
            single,
            {
                '0.' + name[len(part) :]: values
                for name, values in weights.items()
                if name.startswith(part)
            },
        )
    x = np.random.RandomState(6).normal(size=(BATCH, 2, 4, 2))
    blocks = np.stack([x[:, :, :2].reshape(BATCH, 8), x[:, :, 2:].reshape(BATCH, 8)], axis=2)
    swept = harness.forward(down, blocks)
    expected = np.stack(
        [harness.forward(across, swept[:, :, row : row + 1])[:, :, 0] for row in range(2)], axis=2
    )
    np.testing.assert_allclose(harness.forward(model, x)[..., 0], expected, atol=1e-14)


@pytest.mark.parametrize('cell', [*sorted(CELLS), 'StackedBiRNN'])
def test_weights_out_and_in(nn, cell):
    model, weights = build(nn, cell)
    x = sequences()
    before = harness.forward(model, x)
    other, _ = build(nn, cell)
    harness.randomise(nn, other, seed=9)
    nn.set_weights(other, weights)
    np.testing.assert_array_equal(harness.forward(other, x), before)
