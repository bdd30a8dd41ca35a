"""SpatialRNN: against a reference of loops, gradients, and the reach of each block."""

import harness
import numpy as np
import pytest
import reference

from neon_rnn.support.errors import UsageError

CELLS = sorted(reference.CELLS)
UNITS = 3


def spatial(nn, cell, shape, block, units=UNITS):
    """A SpatialRNN over maps of `shape`, with blocks of `block` = (rows, columns) pixels."""
    params = {'output_size': units, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()}
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    return nn.SpatialRNN(
        input_shape=shape, block_shape=(shape[0], *block), RNN=getattr(nn, cell), RNN_params=params
    )


def images(shape, count=3, seed=2):
    return np.random.RandomState(seed).normal(size=(count, *shape))


@pytest.mark.parametrize('cell', CELLS)
@pytest.mark.parametrize(
    ('shape', 'block'),
    [
        ((2, 6, 8), (2, 2)),
        ((3, 4, 9), (1, 3)),
        ((1, 6, 4), (3, 1)),
        ((2, 3, 5), (1, 1)),
        ((2, 4, 6), (4, 6)),
    ],
)
def test_forward_is_the_reference(nn, cell, shape, block):
    model = harness.build(nn, [spatial(nn, cell, shape, block)], shape)
    weights = harness.randomise(nn, model)
    x = images(shape)
    expected = reference.spatial_rnn(
        cell, weights['0.vertical.W'], weights['0.horizontal.W'], x, block, UNITS
    )
    directions = 2 if cell.startswith('Bi') else 1
    assert model.layers.out_shape == (
        directions * UNITS,
        shape[1] // block[0],
        shape[2] // block[1],
    )
    for training in (True, False):
        y = harness.forward(model, x, training)
        assert y.shape == (3, *model.layers.out_shape)
        np.testing.assert_allclose(y, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize('cell', CELLS)
def test_gradients_are_the_finite_differences(nn, cell):
    shape = (2, 6, 4)
    model = harness.build(nn, [spatial(nn, cell, shape, (2, 2), units=2)], shape)
    harness.randomise(nn, model)
    harness.check_gradients(nn, model, images(shape, count=2))


def moved(nn, model, shape, block, which):
    """Return the places (I, J) that change with block `which` = (i, j).

    For the first and for the second half of the output features.
    """
    x = images(shape, count=2)
    changed = x.copy()
    i, j = which
    changed[0, :, i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]] += 0.5
    difference = harness.forward(model, changed) - harness.forward(model, x)
    assert not difference[1].any(), 'the other image moved'
    half = difference.shape[1] // 2
    return [np.abs(part).max(axis=0) > 0 for part in (difference[0, :half], difference[0, half:])]


SHAPE, BLOCK = (2, 6, 5), (2, 1)  # three rows of five blocks
PLACES = [(i, j) for i in range(3) for j in range(5)]


@pytest.mark.parametrize('which', PLACES)
def test_one_block_moves_what_the_published_sweeps_reach(nn, which):
    """The vertical network mixes a column; then forward units go right, backward units left."""
    model = harness.build(nn, [spatial(nn, 'BiRNN', SHAPE, BLOCK)], SHAPE)
    harness.randomise(nn, model)
    columns = np.arange(5)[None, :].repeat(3, axis=0)
    forward, backward = moved(nn, model, SHAPE, BLOCK, which)
    np.testing.assert_array_equal(forward, columns >= which[1])
    np.testing.assert_array_equal(backward, columns <= which[1])


@pytest.mark.parametrize('which', [(0, 1), (1, 2), (2, 4)])
@pytest.mark.parametrize('direction', ['down', 'up'])
def test_the_vertical_units_sweep_down_first_then_up(nn, which, direction):
    """If the horizontal network ignores half of the vertical units, one direction is left."""
    model = harness.build(nn, [spatial(nn, 'BiRNN', SHAPE, BLOCK)], SHAPE)
    weights = harness.randomise(nn, model)
    packed = weights[
        '0.horizontal.W'
    ]  # W forward and backward, (UNITS, 2 * UNITS) each, come first
    input_weights = packed.ravel()[: 2 * UNITS * 2 * UNITS].reshape(2, UNITS, 2, UNITS)
    input_weights[:, :, 1 if direction == 'down' else 0] = 0
    nn.set_weights(model, weights)
    rows, columns = np.indices((3, 5))
    reached = rows >= which[0] if direction == 'down' else rows <= which[0]
    forward, backward = moved(nn, model, SHAPE, BLOCK, which)
    np.testing.assert_array_equal(forward, reached & (columns >= which[1]))
    np.testing.assert_array_equal(backward, reached & (columns <= which[1]))


@pytest.mark.parametrize('cell', ['Recurrent', 'LSTM', 'GRU'])
@pytest.mark.parametrize('which', [(0, 0), (1, 2), (2, 4)])
def test_one_direction_sweeps_down_and_right(nn, cell, which):
    model = harness.build(nn, [spatial(nn, cell, SHAPE, BLOCK)], SHAPE)
    harness.randomise(nn, model)
    rows, columns = np.indices((3, 5))
    expected = (rows >= which[0]) & (columns >= which[1])
    np.testing.assert_array_equal(np.logical_or(*moved(nn, model, SHAPE, BLOCK, which)), expected)


@pytest.mark.parametrize('cut', ['vertical', 'horizontal'])
def test_each_network_owns_its_axis(nn, cut):
    """Without the recurrent weights of a network nothing travels along its axis."""
    model = harness.build(nn, [spatial(nn, 'Recurrent', SHAPE, BLOCK)], SHAPE)
    weights = harness.randomise(nn, model)
    packed = weights[
        '0.{}.W'.format(cut)
    ]  # (features + units + 1, units), the recurrent weights before the last row
    packed[-1 - UNITS : -1] = 0
    nn.set_weights(model, weights)
    rows, columns = np.indices((3, 5))
    expected = (rows == 1) & (columns >= 2) if cut == 'vertical' else (rows >= 1) & (columns == 2)
    np.testing.assert_array_equal(np.logical_or(*moved(nn, model, SHAPE, BLOCK, (1, 2))), expected)


def test_a_single_pixel_reaches_the_output_of_its_block(nn):
    """A block is flattened (C, row, column): each pixel has an input weight of its own."""
    shape, block = (2, 2, 6), (2, 3)
    model = harness.build(nn, [spatial(nn, 'Recurrent', shape, block, units=1)], shape)
    weights = harness.randomise(nn, model, scale=0.1)
    for position in range(12):
        x = np.zeros((1, *shape))
        x[0, position // 6, position // 3 % 2, position % 3] = 1
        w, _, b = reference.unpack(weights['0.vertical.W'], 12, 1, 1, 1)[0]
        w_across, _, b_across = reference.unpack(weights['0.horizontal.W'], 1, 1, 1, 1)[0]
        first = np.tanh(w_across[0, 0] * np.tanh(w[0, position] + b[0]) + b_across[0])
        np.testing.assert_allclose(harness.forward(model, x)[0, 0, 0, 0], first, atol=1e-14)


@pytest.mark.parametrize('cell', ['BiRNN', 'BiLSTM', 'BiGRU'])
def test_an_image_does_not_depend_on_its_neighbours(nn, cell):
    shape = (2, 4, 6)
    model = harness.build(nn, [spatial(nn, cell, shape, (2, 2))], shape)
    harness.randomise(nn, model)
    one, others = images(shape, count=1), images(shape, count=3, seed=9)
    for training in (True, False):
        among = harness.forward(model, np.concatenate([others[:2], one, others[2:]]), training)[2]
        np.testing.assert_allclose(
            among, harness.forward(model, one, training)[0], atol=1e-15, rtol=0
        )


def test_nothing_is_carried_from_one_minibatch_to_the_next(nn):
    shape = (2, 4, 6)
    model = harness.build(nn, [spatial(nn, 'BiRNN', shape, (2, 2))], shape)
    x = images(shape)
    first = harness.forward(model, x, training=True)
    harness.forward(model, 10 * images(shape, seed=8), training=True)
    np.testing.assert_array_equal(harness.forward(model, x, training=True), first)


def test_several_in_one_model_and_as_the_first_layer(nn):
    shape = (2, 8, 12)
    model = harness.build(
        nn,
        [
            spatial(nn, 'BiRNN', shape, (2, 3)),
            spatial(nn, 'BiLSTM', (6, 4, 4), (2, 1)),
            spatial(nn, 'GRU', (6, 2, 4), (1, 2)),
        ],
        shape,
    )
    weights = harness.randomise(nn, model)
    assert list(weights) == [
        '{}.{}.W'.format(position, axis)
        for position in range(3)
        for axis in ('vertical', 'horizontal')
    ]
    y = images(shape)
    for position, (cell, block) in enumerate(
        [('BiRNN', (2, 3)), ('BiLSTM', (2, 1)), ('GRU', (1, 2))]
    ):
        y = reference.spatial_rnn(
            cell,
            weights['{}.vertical.W'.format(position)],
            weights['{}.horizontal.W'.format(position)],
            y,
            block,
            UNITS,
        )
    np.testing.assert_allclose(harness.forward(model, images(shape)), y, atol=1e-13, rtol=0)


def test_gradients_through_several_and_a_pathway(nn):
    """At the head of a nested container, where neon's own BiRNN loses a direction."""
    shape = (1, 4, 4)
    pathway = nn.Sequential(
        [
            spatial(nn, 'BiRNN', shape, (1, 2), units=1),
            spatial(nn, 'BiGRU', (2, 4, 2), (2, 1), units=1),
        ]
    )
    model = harness.build(
        nn, [nn.MergeSum([pathway, [spatial(nn, 'BiRNN', shape, (2, 2), units=1)]])], shape
    )
    assert list(harness.randomise(nn, model)) == [
        '0.{}.{}.W'.format(position, axis)
        for position in ('0.0', '0.1', '1.0')
        for axis in ('vertical', 'horizontal')
    ]
    harness.check_gradients(nn, model, images(shape, count=2))


@pytest.mark.parametrize(
    ('block', 'numbers'),
    [
        ((2, 4, 2), r'\(2, 4, 2\).*\(2, 6, 8\).*6.*8'),
        ((2, 2, 3), r'\(2, 2, 3\).*\(2, 6, 8\)'),
        ((3, 2, 2), r'\(3, 2, 2\).*\(2, 6, 8\).*channels'),
        ((2, 0, 2), r'\(2, 0, 2\)'),
        ((2, 12, 2), r'\(2, 12, 2\)'),
    ],
)
def test_blocks_that_do_not_divide_are_an_error_with_the_numbers(nn, block, numbers):
    with pytest.raises(UsageError, match=numbers):
        nn.SpatialRNN(
            input_shape=(2, 6, 8),
            block_shape=block,
            RNN=nn.BiRNN,
            RNN_params={'output_size': 2, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()},
        )


def test_another_map_than_announced_is_an_error(nn):
    model = nn.Model([spatial(nn, 'BiRNN', (2, 6, 8), (2, 2))])
    with pytest.raises(UsageError, match=r'\(2, 6, 8\).*\(2, 8, 6\)'):
        model.initialize((2, 8, 6))
