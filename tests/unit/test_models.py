"""Every network builds, takes a step, gives probabilities, has the counted size, refuses others."""

import re

import numpy as np
import pytest

from neon_rnn import cli, engines, models, published
from neon_rnn.models.rnn import CELLS
from neon_rnn.support.errors import UsageError

BATCH = 4
#: Sides small enough for a test that every layer of the topology still fits.
SIDES = {'fcnn-1': 8, 'fcnn-2': 8, 'fcnn-3': 8, 'rnn': 32}

#: Trained parameters at the published size of image, counted apart from the code: torchvision's
#: ResNet-18 and ResNet-50 have 11,176,512 and 23,508,032 below their last layer; beside those come
#: 6 (batch norm of the input) or 12 (1x1 convolution on the pixels) and the layers of two classes.
PARAMETERS = {
    'fcnn-1': 6 + 49152 * 640 + 2 * 640 + 640 * 2 + 2,
    'fcnn-2': 6 + 49152 * 384 + 2 * 384 + 384 * 128 + 2 * 128 + 128 * 2 + 2,
    'fcnn-3': 6 + 49152 * 704 + 2 * 704 + 704 * 256 + 2 * 256 + 256 * 64 + 2 * 64 + 64 * 2 + 2,
    'resnet-18': 6 + 11176512 + 512 * 2 + 2,
    'resnet-50': 6 + 23508032 + 2048 * 2 + 2,
    'tl-1': 12 + 23508032 + 2048 * 2 + 2,
    'tl-2': 12 + 23508032 + 2048 * 256 + 256 + 256 * 2 + 2,
    'tl-3': 12 + 23508032 + 2048 * 2 + 2,
    'rnn': sum(
        (
            27 * 32 + 32,
            288 * 64 + 64,
            576 * 128 + 128,
            1152 * 256 + 256,
            1024 * 2 + 2,  # convolutions
            2 * (3 + 32 + 64 + 128 + 256 + 512 + 1024),  # batch norm
            2 * (1024 + 256 + 1) * 256,
            2 * (512 + 256 + 1) * 256,  # the first SpatialRNN, down and across
            2 * (2048 + 512 + 1) * 512,
            2 * (1024 + 512 + 1) * 512,
        )
    ),
}


@pytest.fixture
def started():
    """A function that starts the torch engine in float32 and builds a network."""

    def build(name, side=None, seed=0, **options):
        nn = engines.load('torch')
        nn.start('cpu', batch_size=BATCH, rng_seed=seed, threads=1)
        shape = (3, side or SIDES.get(name, 64), side or SIDES.get(name, 64))
        model, cost = models.build(name, nn, shape, **options)
        model.initialize(shape, cost)
        return nn, model

    return build


def inputs(name, count=BATCH):
    side = SIDES.get(name, 64)
    return np.random.RandomState(3).randint(0, 256, (count, 3 * side * side)).astype(np.uint8)


def test_the_registry_is_the_table_and_what_stands_beside_it():
    assert tuple(published.rows()) == models.ROWS
    assert len(models.ROWS) == 11
    assert models.EXTRAS == ('efficientnet-lite0',)
    for name in models.ROWS + models.EXTRAS:
        assert models.builder(name).__doc__
    with pytest.raises(UsageError, match="'rnm'.*fcnn-1, .*rnn, efficientnet-lite0"):
        models.builder('rnm')


def step_and_check(nn, model, pixels):
    """One step on a minibatch moves every kind of layer; what comes out are probabilities."""
    before = nn.get_weights(model)
    assert all(
        values.dtype == np.float32 and np.isfinite(values).all() for values in before.values()
    )
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    cost = float(nn.train_step(model, pixels, np.array([0, 1, 1, 0]), optimizer, 0))
    assert 0 < cost < 5
    after = nn.get_weights(model)
    still = [
        name for name in before if name.endswith('W') and np.array_equal(before[name], after[name])
    ]
    assert not still, 'not trained: {}'.format(still)
    probabilities = nn.predict(model, pixels[:3])
    assert probabilities.shape == (3, 2)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize('name', models.ROWS + models.EXTRAS)
def test_a_step_and_probabilities(started, name):
    nn, model = started(name)
    step_and_check(nn, model, inputs(name))


@pytest.mark.parametrize('rnn', CELLS)
def test_the_recurrent_network_with_every_cell(started, rnn):
    nn, model = started('rnn', rnn=rnn)
    recurrent = [
        name for name in nn.get_weights(model) if 'vertical' in name or 'horizontal' in name
    ]
    assert len({name.split('.')[0] for name in recurrent}) == 2, 'two SpatialRNN layers'
    step_and_check(nn, model, inputs('rnn'))


@pytest.mark.parametrize('name', PARAMETERS)
def test_trained_parameters_at_the_published_size(started, name):
    """Shapes alone decide, so nothing is computed; some rows have 35 million weights."""
    nn, model = started(name, side=published.rows()[name].input_side)
    assert sum(parameter.numel() for parameter in model.parameters) == PARAMETERS[name]


@pytest.mark.parametrize('name', ['fcnn-2', 'cnn-1', 'rnn'])
def test_the_seed_decides_the_weights(started, name):
    first, again, other = (
        nn.get_weights(model)
        for nn, model in (started(name, seed=1), started(name, seed=1), started(name, seed=2))
    )
    assert list(first) == list(again) == list(other)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    drawn = [
        key for key in first if key.endswith('W') and first[key].any()
    ]  # biases are weights named W that start at 0
    assert len(drawn) > 2
    assert not any(np.array_equal(first[key], other[key]) for key in drawn)


@pytest.mark.parametrize(
    ('name', 'side', 'message'),
    [
        ('rnn', 48, 'divide by 32.*not 48x48'),
        ('resnet-18', 16, 'ResNet-18.*at least 32x32.*not 16x16'),
        ('tl-1', 31, 'TL.*at least 32x32'),
        ('efficientnet-lite0', 8, 'EfficientNet-Lite0.*32x32'),
    ],
)
def test_images_that_do_not_fit_are_an_error(started, name, side, message):
    with pytest.raises(UsageError, match=message):
        started(name, side=side)


@pytest.mark.parametrize('rnn', [name for name, cell in CELLS.items() if cell.deep])
def test_the_depth_of_the_cells(started, rnn):
    sizes = []
    for depth in (None, 2, 3):
        _, model = started('rnn', rnn=rnn, rnn_depth=depth)
        sizes.append(sum(parameter.numel() for parameter in model.parameters))
    assert sizes[0] == sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rnn_depth', '3'], '--rnn_depth is that of the cells that --rnn names'),
        (['--rnn', 'lstm', '--rnn_depth', '3'], 'the cells lstm have no depth; .*stacked_forward'),
        (['--rnn', 'stacked', '--rnn_depth', '9'], 'stacked: the depth has to be .* not 9'),
    ],
)
def test_a_depth_that_does_not_fit_is_refused_before_data_are_read(capsys, options, message):
    assert cli.main(['train', '--model', 'rnn', '--data', 'nowhere', *options]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_unknown_options_are_errors(started):
    with pytest.raises(UsageError, match="no recurrent cell 'rnn'.*birnn.*stacked"):
        started('rnn', rnn='rnn')
    with pytest.raises(UsageError, match="no layout 'keras'.*neon and torchvision"):
        started('tl-1', layout='keras')


class OnlyNeon:
    """An engine without the extras: the names of the contract."""

    EXTRAS = ()

    def __init__(self, nn):
        for name in engines.CONTRACT:
            setattr(self, name, getattr(nn, name))


def test_what_neon_lacks_is_refused_by_name(nn):
    neon = OnlyNeon(nn)
    with pytest.raises(UsageError, match='depthwise.*--engine torch'):
        models.build('efficientnet-lite0', neon, (3, 32, 32))
    for rnn in CELLS:
        model, _ = models.build('rnn', neon, (3, 32, 32), rnn=rnn)
        model.initialize((3, 32, 32))
        assert nn.predict(model, inputs('rnn', 1)).shape == (1, 2)


def test_pretrained_says_where_weights_came_from_and_changes_no_network(started):
    plain, described = (
        nn.get_weights(model)
        for nn, model in (started('cnn-1'), started('cnn-1', pretrained={'file': 'a.pth'}))
    )
    assert all(np.array_equal(plain[key], described[key]) for key in plain)
