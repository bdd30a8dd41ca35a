"""Initial weights, against RandomState written out: values, order, and nothing beside them."""

import harness
import numpy as np
import pytest
import reference

SEED = 0  # of the fixtures


@pytest.mark.parametrize(
    ('name', 'arguments', 'draw'),
    [
        ('Kaiming', {}, lambda rng, shape: reference.kaiming(rng, shape)),
        (
            'Kaiming',
            {'local': False},
            lambda rng, shape: reference.kaiming(rng, shape, local=False),
        ),
        ('Xavier', {}, lambda rng, shape: reference.xavier(rng, shape)),
        ('Xavier', {'local': False}, lambda rng, shape: reference.xavier(rng, shape, local=False)),
        ('GlorotUniform', {}, reference.glorot_uniform),
        ('Gaussian', {'loc': 1.5, 'scale': 0.2}, lambda rng, shape: rng.normal(1.5, 0.2, shape)),
        ('Uniform', {'low': -2.0, 'high': 0.5}, lambda rng, shape: rng.uniform(-2.0, 0.5, shape)),
        ('Constant', {'val': 0.75}, lambda rng, shape: np.full(shape, 0.75)),
    ],
)
def test_initialisers(nn, name, arguments, draw):
    values = getattr(nn, name)(**arguments).sample(np.random.RandomState(5), (6, 40))
    np.testing.assert_array_equal(values, draw(np.random.RandomState(5), (6, 40)))


def test_kaiming_and_glorot_have_the_documented_spread(nn):
    """Independent of the formula's spelling: the moments of a large draw."""
    rng = np.random.RandomState(1)
    assert nn.Kaiming().sample(rng, (50, 4000)).std() == pytest.approx(np.sqrt(2 / 50), rel=0.01)
    assert nn.Kaiming(local=False).sample(rng, (4000, 50)).std() == pytest.approx(
        np.sqrt(2 / 50), rel=0.01
    )
    drawn = nn.GlorotUniform().sample(rng, (300, 700))
    assert np.abs(drawn).max() == pytest.approx(np.sqrt(6 / 1000), rel=1e-3)
    assert drawn.std() == pytest.approx(np.sqrt(6 / 1000 / 3), rel=0.01)


def test_a_convolution_is_drawn_in_neons_shape(nn):
    model = harness.build(
        nn, nn.Conv((3, 2, 5), init=nn.Kaiming(), bias=nn.Constant(0.5)), (4, 8, 8)
    )
    weights = nn.get_weights(model)
    np.testing.assert_array_equal(
        weights['0.W'], reference.kaiming(np.random.RandomState(SEED), (4 * 3 * 2, 5))
    )
    np.testing.assert_array_equal(weights['0.weight_bias'], np.full((5, 1), 0.5))


@pytest.mark.parametrize('cell', [*sorted(reference.CELLS), 'BiBNRNN'])
def test_a_recurrent_layer_draws_forward_before_backward_and_gate_by_gate(nn, cell):
    _, gates, directions, _ = reference.CELLS.get(cell, (None, 1, 2, None))
    params = {'gate_activation': nn.Logistic()} if gates > 1 else {}
    model = harness.build(
        nn,
        [getattr(nn, cell)(output_size=3, init=nn.GlorotUniform(), activation=nn.Tanh(), **params)],
        (4, 5),
    )
    np.testing.assert_array_equal(
        nn.get_weights(model)['0.W'],
        reference.draw_recurrent(
            np.random.RandomState(SEED), features=4, units=3, gates=gates, directions=directions
        ),
    )


def test_the_order_of_a_birnn_spelled_out(nn):
    model = harness.build(
        nn,
        [
            nn.BiRNN(
                output_size=3,
                init=nn.GlorotUniform(),
                init_inner=nn.Gaussian(scale=0.1),
                activation=nn.Tanh(),
            )
        ],
        (4, 5),
    )
    rng = np.random.RandomState(SEED)
    w_forward, w_backward = rng.uniform(-np.sqrt(6 / 7), np.sqrt(6 / 7), (2, 3, 4))
    r_forward, r_backward = rng.normal(0, 0.1, (2, 3, 3))
    expected = np.concatenate(
        [w_forward.ravel(), w_backward.ravel(), r_forward.ravel(), r_backward.ravel(), np.zeros(6)]
    )
    np.testing.assert_array_equal(
        nn.get_weights(model)['0.W'], expected.reshape(2 * (4 + 3 + 1), 3)
    )


def test_spatial_rnn_draws_the_vertical_network_first(nn):
    model = harness.build(
        nn,
        [
            nn.SpatialRNN(
                (2, 4, 6),
                (2, 2, 3),
                nn.BiRNN,
                {'output_size': 5, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()},
            )
        ],
        (2, 4, 6),
    )
    rng = np.random.RandomState(SEED)
    weights = nn.get_weights(model)
    np.testing.assert_array_equal(
        weights['0.vertical.W'], reference.draw_recurrent(rng, 2 * 2 * 3, 5, directions=2)
    )
    np.testing.assert_array_equal(
        weights['0.horizontal.W'], reference.draw_recurrent(rng, 10, 5, directions=2)
    )


def test_a_sequential_draws_its_last_output_owner_first(nn):
    """Bias and activation behind it work in place, so the last linear layer owns the output."""
    model = harness.build(
        nn,
        [
            nn.Affine(4, init=nn.Gaussian(), activation=nn.Tanh()),
            nn.Affine(5, init=nn.Gaussian()),
            nn.Dropout(),
            nn.Affine(3, init=nn.Gaussian(), bias=nn.Uniform(), activation=nn.Softmax()),
        ],
        (6,),
    )
    rng = np.random.RandomState(SEED)
    last = rng.normal(size=(3, 5))
    expected = {
        '0.W': rng.normal(size=(4, 6)),
        '2.W': rng.normal(size=(5, 4)),
        '4.W': last,
        '5.W': rng.uniform(size=(3, 1)),
    }
    weights = nn.get_weights(model)
    assert list(weights) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values, err_msg=name)


def test_each_pathway_draws_its_last_output_owner_first(nn):
    def pathway():
        return [nn.Affine(2, init=nn.Gaussian()), nn.Affine(6, init=nn.Gaussian())]

    model = harness.build(nn, [nn.MergeSum([pathway(), pathway()])], (6,))
    rng = np.random.RandomState(SEED)
    expected = {
        '0.0.1.W': rng.normal(size=(6, 2)),
        '0.0.0.W': rng.normal(size=(2, 6)),
        '0.1.1.W': rng.normal(size=(6, 2)),
        '0.1.0.W': rng.normal(size=(2, 6)),
    }
    for name, values in nn.get_weights(model).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_the_published_network_is_drawn_from_the_seed_and_nothing_else(nn32):
    from neon_rnn.models.rnn import generate_rnn_cls_model

    nn32.start('cpu', batch_size=4, rng_seed=42, threads=1)
    model, cost = generate_rnn_cls_model(input_shape=(3, 32, 32), nn=nn32)
    model.initialize((3, 32, 32), cost)
    rng = np.random.RandomState(42)
    expected = {}
    # The last layer that owns its output is the average pooling, which draws nothing: the list's
    # order is left.
    for position, shape in (
        (2, (3 * 9, 32)),
        (6, (32 * 9, 64)),
        (10, (64 * 9, 128)),
        (14, (128 * 9, 256)),
    ):
        expected['{}.W'.format(position)] = reference.kaiming(rng, shape)
    for position, features, units in ((17, 256 * 4, 256), (19, 512 * 4, 512)):
        expected['{}.vertical.W'.format(position)] = reference.draw_recurrent(
            rng, features, units, directions=2
        )
        expected['{}.horizontal.W'.format(position)] = reference.draw_recurrent(
            rng, 2 * units, units, directions=2
        )
    expected['21.W'] = reference.kaiming(rng, (1024, 2))
    weights = nn32.get_weights(model)
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values.astype(np.float32), err_msg=name)
    rest = {
        name: set(np.unique(values)) for name, values in weights.items() if name not in expected
    }
    assert all(
        values == ({1.0} if name.endswith('gamma') else {0.0}) for name, values in rest.items()
    ), rest
    np.testing.assert_array_equal(nn32.get_random_state()['keys'], rng.get_state()[1])
