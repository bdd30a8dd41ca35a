"""The lecture's cells, against one step at a time in NumPy and finite differences."""

import harness
import numpy as np
import pytest
import reference

from neon_rnn.support.errors import UsageError

FEATURES, STEPS, UNITS, BATCH = 4, 5, 3, 3
tanh = np.tanh


def jordan(x, y, u, w, b, further):
    """The output is fed back: (output, what the next step reads)."""
    ((v, c),) = further
    y = v @ tanh(u @ x + w @ y + b) + c
    return y, y


def deep_transition(x, h, u, w, b, further):
    h = tanh(u @ x + w @ h + b)
    for v, c in further:
        h = tanh(v @ h + c)
    return h, h


def deep_output(x, h, u, w, b, further):
    h = y = tanh(u @ x + w @ h + b)
    for v, c in further:
        y = tanh(v @ y + c)
    return y, h


EQUATIONS = {'Jordan': jordan, 'DeepTransition': deep_transition, 'DeepOutput': deep_output}
#: (class, depth), also without a depth given.
LAYERED = [(way + 'Jordan', None) for way in ('', 'Bi')] + [
    (way + cell, depth)
    for way in ('', 'Bi')
    for cell in ('DeepTransition', 'DeepOutput')
    for depth in (None, 1, 3)
]
STACKS = [(cell, depth) for cell in ('StackedRNN', 'StackedBiRNN') for depth in (None, 1, 3)]
NETWORKS = ('first', 'second', 'third')


def directions_of(cell):
    return 2 if 'Bi' in cell else 1


def expected_outputs(cell, depth, weights, sequence):
    """Each direction over one sequence (steps, features): (steps, directions * units)."""
    directions = directions_of(cell)
    values = weights['0.V'].ravel() if '0.V' in weights else np.zeros(0)
    further = []
    for _ in range((depth or 2) - 1):
        size = directions * UNITS * UNITS
        matrices, values = values[:size].reshape(directions, UNITS, UNITS), values[size:]
        offsets, values = (
            values[: directions * UNITS].reshape(-1, UNITS),
            values[directions * UNITS :],
        )
        further.append(list(zip(matrices, offsets, strict=True)))
    assert not values.size
    outputs = np.zeros((len(sequence), directions * UNITS))
    unpacked = reference.unpack(weights['0.W'], FEATURES, UNITS, 1, directions)
    for direction, first in enumerate(unpacked):
        state = np.zeros(UNITS)
        steps = range(len(sequence))
        for step in steps if direction == 0 else reversed(steps):
            output, state = EQUATIONS[cell.replace('Bi', '')](
                sequence[step], state, *first, [layer[direction] for layer in further]
            )
            outputs[step, direction * UNITS : (direction + 1) * UNITS] = output
    return outputs


def params_of(nn, depth=None):
    params = dict(
        output_size=UNITS, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True
    )
    return params if depth is None else dict(params, depth=depth)


def build(nn, cell, depth=None):
    layer = getattr(nn, cell)(**params_of(nn, depth))
    model = harness.build(nn, [layer], (FEATURES, STEPS))
    return model, harness.randomise(nn, model)


def sequences():
    """(batch, features, steps)."""
    return np.random.RandomState(4).normal(size=(BATCH, FEATURES, STEPS))


@pytest.mark.parametrize(('cell', 'depth'), LAYERED)
def test_sequences_are_the_reference(nn, cell, depth):
    model, weights = build(nn, cell, depth)
    directions, further = directions_of(cell), (depth or 2) - 1
    shapes = {'0.W': (directions * (FEATURES + UNITS + 1), UNITS)}
    if further:
        shapes['0.V'] = (further * directions * (UNITS + 1), UNITS)
    assert {name: values.shape for name, values in weights.items()} == shapes
    assert model.layers.out_shape == (directions * UNITS, STEPS)
    x = sequences()
    expected = [expected_outputs(cell, depth, weights, each.T).T for each in x]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)


@pytest.mark.parametrize(('cell', 'depth'), STACKS)
def test_stacked_is_one_network_over_the_other(nn, cell, depth):
    model, weights = build(nn, cell, depth)
    assert list(weights) == ['0.{}.W'.format(name) for name in NETWORKS[: depth or 2]]
    below = 'BiRNN' if 'Bi' in cell else 'Recurrent'
    x = sequences()
    expected = []
    for each in x:
        sequence = list(each.T)
        for packed in weights.values():
            sequence = reference.recurrent(below, packed, sequence, UNITS)
        expected.append(np.transpose(sequence))
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)


@pytest.mark.parametrize(('cell', 'depth'), LAYERED + STACKS)
def test_gradients_are_the_finite_differences(nn, cell, depth):
    model, _ = build(nn, cell, depth)
    harness.check_gradients(nn, model, sequences())


@pytest.mark.parametrize('depth', [0, 9, 2.0, True])
@pytest.mark.parametrize('cell', ['DeepOutput', 'BiDeepTransition', 'StackedRNN'])
def test_a_depth_that_cannot_be_is_an_error(nn, cell, depth):
    with pytest.raises(UsageError, match=cell + '.*from 1 to 8, not ' + repr(depth)):
        getattr(nn, cell)(**params_of(nn, depth))


@pytest.mark.parametrize(('cell', 'depth'), LAYERED + STACKS)
def test_in_a_spatial_rnn_the_block_is_flattened_channel_by_channel(nn, cell, depth):
    """SpatialRNN reads blocks place by place; the output has to be that of (C, row, column)."""
    params, features = params_of(nn, depth), directions_of(cell) * UNITS
    model = harness.build(
        nn, [nn.SpatialRNN((2, 4, 2), (2, 2, 2), getattr(nn, cell), params)], (2, 4, 2)
    )
    weights = harness.randomise(nn, model)
    across = harness.build(nn, [getattr(nn, cell)(**params)], (features, 1))
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


@pytest.mark.parametrize(('cell', 'depth'), LAYERED + STACKS)
def test_weights_out_and_in(nn, cell, depth):
    model, weights = build(nn, cell, depth)
    x = sequences()
    before = harness.forward(model, x)
    other, _ = build(nn, cell, depth)
    harness.randomise(nn, other, seed=9)
    nn.set_weights(other, weights)
    np.testing.assert_array_equal(harness.forward(other, x), before)
