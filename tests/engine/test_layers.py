"""The feed-forward layers, against NumPy written out and finite differences."""

import harness
import numpy as np
import pytest
import reference
import torch

from neon_rnn.support.errors import UsageError

CONVOLUTIONS = [
    # (C, H, W), (rows, columns, maps), padding, strides, dilation
    ((2, 7, 6), (3, 3, 4), 2, 1, 2),  # as in the published network
    ((3, 4, 5), (1, 1, 2), 1, 1, 1),  # its last convolution
    ((2, 8, 7), (3, 2, 3), 0, 2, 1),
    ((1, 9, 9), (2, 3, 2), 1, 3, 3),
    (
        (2, 6, 9),
        (3, 3, 2),
        {'pad_h': 1, 'pad_w': 2},
        {'str_h': 2, 'str_w': 1},
        {'dil_h': 1, 'dil_w': 3},
    ),
]


def pair(value):
    return tuple(value.values()) if isinstance(value, dict) else (value, value)


@pytest.mark.parametrize(('shape', 'fshape', 'padding', 'strides', 'dilation'), CONVOLUTIONS)
def test_convolution_with_bias_and_activation(nn, shape, fshape, padding, strides, dilation):
    layers = nn.Conv(
        fshape,
        init=nn.Kaiming(),
        bias=nn.Constant(0),
        activation=nn.Rectlin(),
        padding=padding,
        strides=strides,
        dilation=dilation,
    )
    model = harness.build(nn, layers, shape)
    weights = harness.randomise(nn, model)
    assert {name: values.shape for name, values in weights.items()} == {
        '0.W': (shape[0] * fshape[0] * fshape[1], fshape[2]),
        '0.weight_bias': (fshape[2], 1),
    }
    x = np.random.RandomState(3).normal(size=(2, *shape))
    expected = reference.convolution(
        x,
        weights['0.W'],
        fshape[:2],
        weights['0.weight_bias'],
        pair(padding),
        pair(strides),
        pair(dilation),
    )
    assert model.layers.out_shape == expected.shape[1:]
    assert (expected < 0).any()
    np.testing.assert_allclose(
        harness.forward(model, x), np.maximum(expected, 0), atol=1e-13, rtol=0
    )


def test_a_padded_1x1_convolution_sees_only_the_bias_at_the_border(nn):
    model = harness.build(
        nn, nn.Conv((1, 1, 2), init=nn.Constant(2), bias=nn.Constant(0.25), padding=1), (3, 4, 5)
    )
    x = np.random.RandomState(3).normal(size=(2, 3, 4, 5))
    y = harness.forward(model, x)
    assert y.shape == (2, 2, 6, 7)
    np.testing.assert_allclose(
        y[:, :, 1:-1, 1:-1],
        np.repeat(2 * x.sum(axis=1, keepdims=True) + 0.25, 2, axis=1),
        atol=1e-14,
    )
    border = np.ones((6, 7), bool)
    border[1:-1, 1:-1] = False
    assert (y[:, :, border] == 0.25).all()


def test_gradients_of_a_dilated_padded_convolution(nn):
    model = harness.build(
        nn,
        nn.Conv(
            (3, 2, 2),
            init=nn.Kaiming(),
            bias=nn.Constant(0),
            activation=nn.Tanh(),
            padding=2,
            strides=2,
            dilation=2,
        ),
        (2, 5, 4),
    )
    harness.randomise(nn, model)
    harness.check_gradients(nn, model, np.random.RandomState(3).normal(size=(2, 2, 5, 4)))


def test_a_window_larger_than_the_image_is_an_error(nn):
    with pytest.raises(
        UsageError, match=r'window of 3 \(dilation 2, padding 0\) does not fit a side of 4'
    ):
        harness.build(nn, nn.Conv((3, 3, 1), init=nn.Kaiming(), dilation=2), (1, 4, 9))


def test_bias_and_batch_norm_together_are_an_error_as_in_neon(nn):
    for make in (
        lambda: nn.Conv((1, 1, 1), init=nn.Kaiming(), bias=nn.Constant(0), batch_norm=True),
        lambda: nn.Affine(2, init=nn.Kaiming(), bias=nn.Constant(0), batch_norm=True),
    ):
        with pytest.raises(UsageError, match='bias or batch norm'):
            make()


@pytest.mark.parametrize('op', ['max', 'avg'])
@pytest.mark.parametrize(
    ('shape', 'window', 'padding', 'strides', 'sides'),
    [
        ((2, 8, 8), (3, 3), 1, 2, (4, 4)),  # as published
        ((2, 7, 9), (3, 3), 1, 2, (4, 5)),
        ((1, 7, 9), (2, 3), 0, 1, (6, 7)),
        ((1, 6, 7), 2, 0, None, (3, 3)),  # strides: the window
        ((1, 6, 7), (2, 3), 0, {}, (3, 2)),  # as neon spells that
        ((2, 6, 8), (2, 2), {'pad_h': 1, 'pad_w': 0}, {'str_h': 3, 'str_w': 2}, (3, 4)),
    ],
)
def test_pooling(nn, op, shape, window, padding, strides, sides):
    model = harness.build(nn, [nn.Pooling(window, op=op, padding=padding, strides=strides)], shape)
    x = (
        np.random.RandomState(3).normal(size=(2, *shape)) - 5
    )  # below zero: a padding that counted as 0 would win
    size = window if isinstance(window, tuple) else (window, window)
    expected = reference.pooling(x, size, op, pair(padding), pair(strides) if strides else size)
    assert model.layers.out_shape == (shape[0], *sides) == expected.shape[1:]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize(('op', 'function'), [('max', np.max), ('avg', np.mean)])
def test_pooling_of_the_whole_map(nn, op, function):
    model = harness.build(nn, [nn.Pooling('all', op=op)], (2, 6, 5))
    x = np.random.RandomState(3).normal(size=(3, 2, 6, 5))
    np.testing.assert_allclose(
        harness.forward(model, x), function(x, axis=(2, 3), keepdims=True), atol=1e-15
    )


def test_pooling_refuses_what_it_does_not_know(nn):
    with pytest.raises(UsageError, match="'l2'"):
        nn.Pooling(2, op='l2')


@pytest.mark.parametrize('shape', [(3, 4, 2), (5,)])
def test_batch_norm_and_its_running_statistics(nn, shape):
    model = harness.build(nn, [nn.BatchNorm()], shape)
    assert {
        name: (values.shape, values.flat[0]) for name, values in nn.get_weights(model).items()
    } == {
        '0.beta': ((shape[0], 1), 0),
        '0.gamma': ((shape[0], 1), 1),
        '0.gmean': ((shape[0], 1), 0),
        '0.gvar': ((shape[0], 1), 0),
    }
    rng = np.random.RandomState(3)
    weights = nn.get_weights(model)
    weights['0.beta'][:], weights['0.gamma'][:] = rng.normal(size=(2, shape[0], 1))
    nn.set_weights(model, weights)
    beta, gamma = weights['0.beta'][:, 0], weights['0.gamma'][:, 0]
    expected = reference.BatchNorm(shape[0])
    for _ in range(3):
        x = rng.normal(2, 3, size=(4, *shape))
        np.testing.assert_allclose(
            harness.forward(model, x, training=True), expected(x, beta, gamma), atol=1e-12
        )
        statistics = nn.get_weights(model)
        np.testing.assert_allclose(statistics['0.gmean'][:, 0], expected.gmean, atol=1e-14)
        np.testing.assert_allclose(statistics['0.gvar'][:, 0], expected.gvar, atol=1e-14)
    np.testing.assert_allclose(
        harness.forward(model, x), expected(x, beta, gamma, inference=True), atol=1e-12
    )
    after = nn.get_weights(model)
    assert all((after[name] == statistics[name]).all() for name in after), (
        'inference moved the running statistics'
    )


def test_batch_norm_of_its_own_momentum(nn):
    model = harness.build(nn, [nn.BatchNorm(rho=0.5, eps=0.1)], (1, 2, 2))
    x = np.arange(16, dtype=float).reshape(4, 1, 2, 2)
    y = harness.forward(model, x, training=True)
    np.testing.assert_allclose(y, (x - 7.5) / np.sqrt(21.25 + 0.1), atol=1e-14)
    weights = nn.get_weights(model)
    assert (weights['0.gmean'].item(), weights['0.gvar'].item()) == pytest.approx(
        (3.75, 10.625), rel=1e-14
    )


@pytest.mark.parametrize('shape', [(2, 3, 2), (3,)])
def test_gradients_of_batch_norm(nn, shape):
    model = harness.build(nn, [nn.BatchNorm()], shape)
    harness.randomise(nn, model)
    harness.check_gradients(nn, model, np.random.RandomState(3).normal(size=(4, *shape)))


def test_batch_norm_of_a_single_value_is_an_error(nn):
    model = harness.build(nn, [nn.BatchNorm()], (3,))
    with pytest.raises(UsageError, match='larger batch'):
        harness.forward(model, np.zeros((1, 3)), training=True)


def test_affine_flattens_channels_rows_columns(nn):
    model = harness.build(
        nn,
        nn.Affine(4, init=nn.Gaussian(), bias=nn.Constant(0), activation=nn.Logistic()),
        (2, 3, 2),
    )
    weights = harness.randomise(nn, model)
    assert {name: values.shape for name, values in weights.items()} == {
        '0.W': (4, 12),
        '1.W': (4, 1),
    }
    x = np.random.RandomState(3).normal(size=(3, 2, 3, 2))
    expected = [
        reference.logistic(weights['0.W'] @ image.ravel() + weights['1.W'][:, 0]) for image in x
    ]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)
    harness.check_gradients(nn, model, x)


def test_affine_with_batch_norm_has_the_layers_of_neon(nn):
    model = harness.build(
        nn, nn.Affine(4, init=nn.Gaussian(), batch_norm=True, activation=nn.Tanh()), (6,)
    )
    assert list(nn.get_weights(model)) == ['0.W', '1.beta', '1.gamma', '1.gmean', '1.gvar']


@pytest.mark.parametrize(
    ('name', 'arguments', 'function'),
    [
        ('Identity', {}, lambda x: x),
        ('Rectlin', {}, lambda x: np.maximum(x, 0)),
        ('Rectlin', {'slope': 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ('Tanh', {}, np.tanh),
        ('Logistic', {}, reference.logistic),
        ('Softmax', {}, reference.softmax),
        ('Normalizer', {'divisor': 128.0}, lambda x: x / 128),
    ],
)
def test_transforms(nn, name, arguments, function):
    model = harness.build(nn, [nn.Activation(getattr(nn, name)(**arguments))], (5,))
    x = np.array([[-3, -0.5, 0, 0.5, 3], [700, -700, 1, 2, 3.0]])
    with np.errstate(over='ignore'):
        np.testing.assert_allclose(harness.forward(model, x), function(x), atol=1e-15)


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('Identity', {}),
        ('Rectlin', {}),
        ('Rectlin', {'slope': 0.2}),
        ('Tanh', {}),
        ('Logistic', {}),
    ],
)
def test_derivatives_written_in_terms_of_the_output(nn, name, arguments):
    import torch

    transform = getattr(nn, name)(**arguments)
    x = torch.tensor([-2, -0.3, 0.4, 1.7], dtype=torch.float64)
    step = 1e-6
    expected = (transform(x + step) - transform(x - step)) / (2 * step)
    np.testing.assert_allclose(transform.derivative(transform(x)), expected, atol=1e-9)
    model = harness.build(nn, [nn.Activation(transform)], (4,))
    gradient, _ = harness.gradients(model, x[None].numpy(), np.ones((1, 4)))
    np.testing.assert_allclose(gradient[0], expected, atol=1e-9)


def test_dropout_draws_neons_mask_and_scales_only_in_inference(nn):
    model = harness.build(nn, [nn.Dropout(keep=0.7)], (2, 3))
    x = np.random.RandomState(3).normal(size=(4, 2, 3))
    nn.start('cpu', batch_size=4, rng_seed=11, precision='float64', threads=1)
    rng = np.random.RandomState(11)
    for _ in range(2):
        mask = (rng.uniform(size=(6, 4)) < 0.7).T.reshape(
            x.shape
        )  # features x batch, as neon draws
        assert 0 < mask.sum() < mask.size
        np.testing.assert_array_equal(harness.forward(model, x, training=True), x * mask)
    np.testing.assert_allclose(harness.forward(model, x), 0.7 * x, atol=1e-16)


def test_the_data_transform_scales_and_hands_no_gradient_back(nn):
    layer = nn.DataTransform(nn.Normalizer(divisor=2.0))
    x = torch.arange(6.0, requires_grad=True)
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), np.arange(6) / 2)
    assert not y.requires_grad


def test_merge_sum_adds_its_pathways_and_a_skip_node_is_the_identity(nn):
    pathway = [
        nn.Affine(4, init=nn.Gaussian(), activation=nn.Tanh()),
        nn.Affine(6, init=nn.Gaussian()),
    ]
    model = harness.build(nn, [nn.MergeSum([pathway, nn.SkipNode()])], (6,))
    weights = nn.get_weights(model)
    assert {name: values.shape for name, values in weights.items()} == {
        '0.0.0.W': (4, 6),
        '0.0.2.W': (6, 4),
    }
    x = np.random.RandomState(3).normal(size=(3, 6))
    np.testing.assert_allclose(
        harness.forward(model, x),
        x + np.tanh(x @ weights['0.0.0.W'].T) @ weights['0.0.2.W'].T,
        atol=1e-14,
    )
    harness.check_gradients(nn, model, x)


def test_merge_sum_of_different_shapes_is_an_error(nn):
    with pytest.raises(UsageError, match=r'\(4,\).*\(6,\)'):
        harness.build(nn, [nn.MergeSum([nn.Affine(4, init=nn.Gaussian()), nn.SkipNode()])], (6,))


def test_an_empty_pathway_is_an_error(nn):
    with pytest.raises(UsageError, match='at least one layer'):
        nn.Model([])
