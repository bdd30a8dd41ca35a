"""Weights, optimiser state and random state: names, shapes, round trips, and what is refused."""

import numpy as np
import pytest

from neon_rnn.models.rnn import generate_rnn_cls_model
from neon_rnn.support.errors import NeonRnnError

SHAPE = (3, 32, 32)

#: Of the published network: name -> shape, written down from its layer list; a compound layer
#: counts one position a part.
PUBLISHED = {
    **{
        '{}.{}'.format(position, name): (channels, 1)
        for position, channels in (
            (1, 3),
            (4, 32),
            (8, 64),
            (12, 128),
            (16, 256),
            (18, 512),
            (20, 1024),
        )
        for name in ('beta', 'gamma', 'gmean', 'gvar')
    },
    **{
        '{}.weight_bias'.format(position): (maps, 1)
        for position, maps in ((2, 32), (6, 64), (10, 128), (14, 256), (21, 2))
    },
    '2.W': (27, 32),
    '6.W': (288, 64),
    '10.W': (576, 128),
    '14.W': (1152, 256),
    '21.W': (1024, 2),
    '17.vertical.W': (2 * (1024 + 256 + 1), 256),
    '17.horizontal.W': (2 * (512 + 256 + 1), 256),
    '19.vertical.W': (2 * (2048 + 512 + 1), 512),
    '19.horizontal.W': (2 * (1024 + 512 + 1), 512),
}


@pytest.fixture
def published(nn32):
    model, cost = generate_rnn_cls_model(input_shape=SHAPE, nn=nn32)
    model.initialize(SHAPE, cost)
    return model


def small(nn):
    """One of each kind of weight: convolution, batch norm, SpatialRNN, linear, bias."""
    model = nn.Model(
        [
            nn.Conv(
                (3, 3, 2),
                init=nn.Kaiming(),
                bias=nn.Constant(0),
                activation=nn.Rectlin(),
                padding=1,
            ),
            nn.BatchNorm(),
            nn.SpatialRNN(
                (2, 4, 4),
                (2, 2, 2),
                nn.BiBNRNN,
                {'output_size': 2, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()},
            ),
            nn.Dropout(keep=0.8),
            nn.Affine(2, init=nn.Gaussian(), bias=nn.Constant(0), activation=nn.Softmax()),
        ]
    )
    model.initialize((1, 4, 4), nn.GeneralizedCost(nn.CrossEntropyMulti()))
    return model


def batch(seed):
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, size=(4, 16)).astype(np.uint8), rng.randint(0, 2, size=4)


def same(first, second):
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_names_shapes_and_number_of_the_published_parameters(nn32, published):
    weights = nn32.get_weights(published)
    assert {name: values.shape for name, values in weights.items()} == PUBLISHED
    assert {values.dtype for values in weights.values()} == {np.dtype(np.float32)}
    assert (
        sum(values.size for name, values in weights.items() if not name.endswith(('gmean', 'gvar')))
        == 5640456
    )
    assert list(weights)[:8] == [
        '1.beta',
        '1.gamma',
        '1.gmean',
        '1.gvar',
        '2.W',
        '2.weight_bias',
        '4.beta',
        '4.gamma',
    ]


def test_a_round_trip_changes_no_bit(nn32):
    first, second = small(nn32), small(nn32)
    nn32.train_step(first, *batch(0), nn32.GradientDescentMomentum(0.1, 0.9), 0)
    weights = nn32.get_weights(first)
    assert not (nn32.get_weights(second)['0.W'] == weights['0.W']).all()
    nn32.set_weights(second, weights)
    same(nn32.get_weights(second), weights)
    np.testing.assert_array_equal(
        nn32.predict(first, batch(1)[0]), nn32.predict(second, batch(1)[0])
    )


def test_what_get_weights_returns_is_a_copy(nn32):
    model = small(nn32)
    before = nn32.get_weights(model)
    kept = {name: values.copy() for name, values in before.items()}
    nn32.train_step(model, *batch(0), nn32.GradientDescentMomentum(0.1, 0.9, wdecay=0.1), 0)
    same(before, kept)
    after = nn32.get_weights(model)
    assert all(
        (after[name] != kept[name]).any() for name in ('0.W', '2.gmean', '3.vertical.W', '5.W')
    )
    for values in after.values():
        values[:] = 9
    assert not (nn32.get_weights(model)['0.W'] == 9).any()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda weights: weights.pop('3.vertical.gamma'), '3.vertical.gamma is missing'),
        (
            lambda weights: weights.update({'9.W': np.zeros((2, 2), np.float32)}),
            '9.W has no place in the model',
        ),
        (
            lambda weights: weights.update({'0.W': weights['0.W'].T.copy()}),
            r'0.W is \(2, 9\), the model has \(9, 2\)',
        ),
        (lambda weights: weights.clear(), 'and 1[0-9] more'),
    ],
)
def test_weights_of_another_model_are_refused_and_nothing_is_changed(nn32, change, message):
    model = small(nn32)
    before = nn32.get_weights(model)
    given = nn32.get_weights(model)
    for values in given.values():
        values += 1
    change(given)
    with pytest.raises(NeonRnnError, match=message):
        nn32.set_weights(model, given)
    same(nn32.get_weights(model), before)


def test_training_goes_on_bit_for_bit_from_all_that_is_saved(nn32):
    """Weights, momentum and the random state of the dropout, put into a fresh model."""
    first, optimizer = small(nn32), nn32.GradientDescentMomentum(0.1, 0.9, wdecay=0.01)
    assert nn32.get_optimizer_state(first, optimizer) == {}
    for seed in range(3):
        nn32.train_step(first, *batch(seed), optimizer, 0)
    weights, state = nn32.get_weights(first), nn32.get_optimizer_state(first, optimizer)
    random = nn32.get_random_state()
    assert list(state) == [name for name in weights if not name.endswith(('gmean', 'gvar'))]
    assert all(
        len(arrays) == 1 and arrays[0].shape == weights[name].shape
        for name, arrays in state.items()
    )
    cost = float(nn32.train_step(first, *batch(7), optimizer, 0))

    nn32.start('cpu', batch_size=4, rng_seed=99, threads=1)
    second, optimizer = small(nn32), nn32.GradientDescentMomentum(0.1, 0.9, wdecay=0.01)
    nn32.set_weights(second, weights)
    nn32.set_optimizer_state(second, optimizer, state)
    for name, arrays in nn32.get_optimizer_state(second, optimizer).items():
        np.testing.assert_array_equal(arrays[0], state[name][0], err_msg=name)
    nn32.set_random_state(random)
    assert float(nn32.train_step(second, *batch(7), optimizer, 0)) == cost
    same(nn32.get_weights(second), nn32.get_weights(first))


@pytest.mark.parametrize('lost', ['weights', 'optimizer', 'random'])
def test_each_part_of_that_matters(nn32, lost):
    """Without one of the three, the next two steps differ: the counterpart of the test above."""
    model, optimizer = small(nn32), nn32.GradientDescentMomentum(0.1, 0.9)
    for seed in range(3):
        nn32.train_step(model, *batch(seed), optimizer, 0)
    weights, state, random = (
        nn32.get_weights(model),
        nn32.get_optimizer_state(model, optimizer),
        nn32.get_random_state(),
    )
    for seed in (7, 8):
        nn32.train_step(model, *batch(seed), optimizer, 0)
    expected = nn32.get_weights(model)['5.W']
    nn32.start('cpu', batch_size=4, rng_seed=99, threads=1)
    model, optimizer = small(nn32), nn32.GradientDescentMomentum(0.1, 0.9)
    if lost != 'weights':
        nn32.set_weights(model, weights)
    nn32.set_optimizer_state(model, optimizer, {} if lost == 'optimizer' else state)
    if lost != 'random':
        nn32.set_random_state(random)
    for seed in (7, 8):
        nn32.train_step(model, *batch(seed), optimizer, 0)
    assert (nn32.get_weights(model)['5.W'] != expected).any()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('3.horizontal.W'), r'3\.horizontal\.W is missing'),
        (lambda state: state.update({'9.W': state['5.W']}), r'9\.W has no place in the model'),
        (
            lambda state: state.update({'5.W': [state['5.W'][0].T]}),
            r'5\.W is \(\d+, 2\), the model has \(2, \d+\)',
        ),
    ],
)
def test_an_optimiser_state_of_another_model_is_refused_and_changes_nothing(nn32, change, message):
    model, optimizer = small(nn32), nn32.GradientDescentMomentum(0.1, 0.9)
    nn32.train_step(model, *batch(0), optimizer, 0)
    before = nn32.get_optimizer_state(model, optimizer)
    given = dict(before)
    change(given)
    with pytest.raises(NeonRnnError, match='the optimiser states are of another model: ' + message):
        nn32.set_optimizer_state(model, optimizer, given)
    after = nn32.get_optimizer_state(model, optimizer)
    same(
        {name: arrays[0] for name, arrays in after.items()},
        {name: arrays[0] for name, arrays in before.items()},
    )


def test_the_random_state_is_numpys(nn32):
    nn32.start('cpu', batch_size=4, rng_seed=5, threads=1)
    keys, position = np.random.RandomState(5).get_state()[1:3]
    state = nn32.get_random_state()
    np.testing.assert_array_equal(state['keys'], keys)
    assert (state['position'], state['has_gauss'], state['cached_gaussian']) == (position, 0, 0.0)
