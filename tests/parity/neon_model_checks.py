"""Models with SpatialRNN, and what the training loop calls, on real neon.

PYTHONPATH=. /path/to/neon/python tests/parity/neon_model_checks.py
"""

import collections
import contextlib
import os
import tempfile
import unittest

import numpy as np
from neon.layers.container import LayerContainer
from neon.layers.layer import Bias, Convolution_bias
from neon_layers import (
    BACKENDS,
    BLOCK,
    CELLS,
    IMAGES,
    SHAPE,
    Training,
    in_mkls_layout,
    layer_of,
    nn,
    params,
    refused,
    run_checks,
    start,
)

from neon_rnn import engines, models, published
from neon_rnn.engines.neon import library, selftest, weights
from neon_rnn.runs import checkpoint
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.weights import neon_prm


def scale():
    return nn.DataTransform(transform=nn.Normalizer(divisor=128.0))


def second():
    """Takes what `layer_of()` makes, and makes the same shape."""
    return nn.SpatialRNN((6, 3, 2), (6, 1, 1), nn.BiRNN, params('BiRNN'))


def convolution(**bias):
    """On the mkl backend its output has a layout of MKL's own."""
    return nn.Conv((3, 3, 16), init=nn.Kaiming(), padding=1, activation=nn.Rectlin(), **bias)


def between_convolutions():
    """No bias behind two channels: neon's mkl backend computes its gradient wrongly."""
    return [
        scale(),
        convolution(),
        layer_of(shape=(16, 6, 8), block=(16, 2, 4)),
        convolution(),
        nn.BatchNorm(),
        convolution(bias=nn.Constant(0)),
        nn.SpatialRNN((16, 3, 2), (16, 1, 1), nn.BiRNN, params('BiRNN')),
    ]


PLACES = collections.OrderedDict(
    [
        ('first', lambda: [layer_of()]),
        ('several', lambda: [scale(), layer_of(), second(), nn.BatchNorm(), second()]),
        ('between convolutions', between_convolutions),
        ('nested', lambda: [scale(), nn.Sequential([layer_of(), second()]), nn.BatchNorm()]),
        (
            'nested deeper',
            lambda: [
                scale(),
                nn.Sequential([nn.Sequential([layer_of(), second()]), nn.BatchNorm()]),
            ],
        ),
        ('sum', lambda: [scale(), nn.MergeSum([[layer_of()], [layer_of('BiLSTM')]])]),
    ]
)


def test_where_it_can_stand():
    """First, repeated, at the head of nested containers, in a sum (numpy only); costs fall."""
    for name, layers in PLACES.items():
        # in a sum, neon 2.6.0's mkl backend is wrong and refused (neon_merge_checks.py)
        costs = [
            Training(layers, backend).train(4)
            for backend in (BACKENDS if name != 'sum' else ('numpy',))
        ]
        assert costs[0][-1] < costs[0][0], (name, costs)
        np.testing.assert_allclose(costs[-1], costs[0], rtol=1e-3, err_msg=name)


def test_nesting_changes_nothing():
    """neon calls the first layer of a container with beta=0, which BiRNN does not support."""
    for backend in BACKENDS:
        flat = Training(lambda: [scale(), layer_of(), second(), nn.BatchNorm()], backend)
        drawn = nn.get_weights(flat.model)
        expected = flat.train(4)
        for name in ('nested', 'nested deeper'):
            nested = Training(PLACES[name], backend)
            names = list(nn.get_weights(nested.model))
            assert [key.split('.')[-1] for key in names] == [key.split('.')[-1] for key in drawn]
            nn.set_weights(nested.model, dict(zip(names, drawn.values())))
            np.testing.assert_allclose(nested.train(4), expected, rtol=1e-6, err_msg=name)


def biased_convolutions(container):
    """Iterate over (channels in, filters, dilated) of every convolution with a bias.

    Those in containers included; the shapes are configured.
    """
    for layer in container.layers:
        if isinstance(layer, LayerContainer):
            for found in biased_convolutions(layer):
                yield found
        elif isinstance(layer, Convolution_bias):
            yield layer.in_shape[0], layer.fshape[-1], layer.convparams['dil_h'] > 1


def test_no_network_meets_the_wrong_bias_gradient_of_mkl():
    """Filters in eights, from channels neither 1, 3 nor a multiple of 8 (docs/models.md)."""
    start('numpy', 'float32', batch_size=1)
    seen = 0
    for name in models.ROWS:
        model, _ = models.build(name, nn)
        side = published.rows()[name].input_side
        model.layers.configure((3, side, side))
        for channels, filters, dilated in biased_convolutions(model.layers):
            assert dilated or filters % 8 or channels in (1, 3) or channels % 8 == 0, (
                name,
                channels,
                filters,
            )
            seen += 1
    assert seen >= 9, seen


def test_words_for_a_layer():
    """``str`` before and after the shapes are known, alone and inside a model."""
    start()
    layer = layer_of('GRU')
    assert '2 x (6x8) inputs, 2x4 blocks, not configured' in str(layer)
    model = nn.Model([layer])
    model.initialize(SHAPE)
    for words in (
        '2 x (6x8) inputs, 3 x (3x2) outputs, 2x4 blocks',
        'vertical GRU 16 -> 3, 3 steps',
        'horizontal GRU 3 -> 3, 2 steps',
    ):
        assert words in str(model), str(model)


def test_serialised_and_loaded():
    """Model.serialize to Model(file), and to this project's reader, with states, for every cell."""
    for cell in CELLS:
        trained = Training(lambda: [layer_of(cell), nn.BatchNorm()], steps=4)  # noqa: B023
        model, kept = trained.model, nn.get_weights(trained.model)
        expected = nn.predict(model, trained.images)
        path = os.path.join(tempfile.mkdtemp(), 'model.prm')
        model.serialize(path)
        read = neon_prm.read(path)
        assert list(read.weights) == list(kept)
        for name in kept:
            np.testing.assert_array_equal(read.weights[name], kept[name])
        states = nn.get_optimizer_state(model, trained.optimizer)
        assert set(states) == set(read.optimizer_state)
        assert '0.horizontal.' + ('first.W' if 'Stacked' in cell else 'W') in states
        for name in states:
            np.testing.assert_array_equal(read.optimizer_state[name][0], states[name][0])
        start('numpy', 'float32', seed=9)
        again = nn.Model(path)
        again.initialize(SHAPE)
        np.testing.assert_allclose(
            nn.predict(again, trained.images), expected, atol=1e-6, err_msg=cell
        )
        loaded = nn.get_optimizer_state(again, None)
        assert set(loaded) == set(states)
        for name in states:
            np.testing.assert_array_equal(
                loaded[name][0], states[name][0], err_msg='{} {}'.format(cell, name)
            )
        assert 'vertical {} 16 -> '.format(cell) in str(again)


def test_a_file_of_another_size_is_refused():
    """neon's own load_params, into a model whose recurrent layers are larger."""
    model = Training(lambda: [layer_of()]).model
    path = os.path.join(tempfile.mkdtemp(), 'model.prm')
    model.serialize(path)
    wider = nn.SpatialRNN(SHAPE, BLOCK, nn.BiRNN, dict(params('BiRNN'), output_size=5))
    other = Training(lambda: [wider]).model
    with refused(UsageError, 'vertical W', '(44, 5)', '(40, 3)'):
        other.load_params(path)


class Nameless(Bias):
    """Trains a tensor that is none of its attributes with a known name."""

    def get_params(self):
        (_, gradient), states = super(Nameless, self).get_params()
        return (gradient, gradient), states


def test_a_parameter_without_a_name_is_not_lost_in_silence():
    model = Training(lambda: [layer_of(), Nameless(nn.Constant(0))]).model
    with refused(NeonRnnError, 'layer 1 (Nameless)', 'cannot be saved'):
        nn.get_weights(model)


def test_checkpoint_and_resume():
    """A checkpoint in the middle; three steps and three more are the same as six at once."""
    whole = Training(between_convolutions, BACKENDS[-1], steps=6)
    half = Training(between_convolutions, BACKENDS[-1], steps=3)
    path = os.path.join(tempfile.mkdtemp(), 'checkpoint.npz')
    checkpoint.save(
        path,
        nn.get_weights(half.model),
        nn.get_optimizer_state(half.model, half.optimizer),
        nn.get_random_state(),
    )
    saved = checkpoint.load(path)
    fresh = Training(between_convolutions, BACKENDS[-1], steps=1)
    nn.set_weights(fresh.model, saved.weights)
    nn.set_optimizer_state(fresh.model, fresh.optimizer, saved.optimizer_state)
    nn.set_random_state(saved.random_state)
    np.testing.assert_allclose(fresh.train(3), whole.costs[3:], rtol=1e-6)
    name = next(name for name in saved.weights if name.endswith('.vertical.W'))
    saved.weights[name] = saved.weights[name][1:]
    with refused(NeonRnnError, 'of another model', name):
        nn.set_weights(fresh.model, saved.weights)


def test_layouts_of_mkl_on_inputs_and_weights():
    """One left on the tensor of the images, or on one that weights are loaded into, is dropped."""
    if 'mkl' not in BACKENDS:
        raise unittest.SkipTest(library.why_no_mkl())
    trained = Training(between_convolutions, 'mkl', steps=2)
    be, expected = library.neon.NervanaObject.be, nn.predict(trained.model, trained.images)
    in_mkls_layout(be, trained.model.input_buffer, SHAPE)
    np.testing.assert_allclose(nn.predict(trained.model, trained.images), expected, atol=1e-6)
    tensor = be.zeros((16 * 6 * 8, be.bsz))
    values = in_mkls_layout(be, tensor, (16, 6, 8))[::-1]
    weights._set(tensor, values)
    np.testing.assert_array_equal(tensor.get(), values)


def test_predict_any_number_of_images():
    model = Training(lambda: [layer_of()], BACKENDS[-1], steps=4).model
    images = np.random.RandomState(8).randint(0, 256, (11, 96)).astype(np.uint8)
    whole = nn.predict(model, images)
    assert whole.shape == (11, 2)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(whole[:, 0]) > 0.1
    for count in (0, 1, IMAGES, 7):
        np.testing.assert_allclose(nn.predict(model, images[:count]), whole[:count], atol=1e-6)


def test_start_says_why_not():
    if library.why_no_gpu():
        with refused(UsageError, '-b gpu', 'CUDA'):
            nn.start('gpu', 4, 0)
    with refused(UsageError, "no backend 'cuda'", 'numpy'):
        nn.start('cuda', 4, 0)
    with refused(UsageError, 'float64', 'mkl'):
        nn.start('mkl', 4, 0, precision='float64')
    assert sorted(nn.__all__) == sorted(engines.CONTRACT)
    if 'mkl' in BACKENDS:
        assert nn.start('cpu', 4, 0)['backend'] == 'mkl'


def test_an_mkl_that_computes_wrongly_is_refused():
    """One number is off by a hundredth of the largest, in each result of a convolution in turn."""
    if 'mkl' not in BACKENDS:
        raise unittest.SkipTest(library.why_no_mkl())
    be = start('mkl', 'float32')
    assert selftest.convolution_error(be) < 1e-5
    for name in ('fprop_conv', 'bprop_conv', 'update_conv'):
        words = '1x1 convolutions wrongly', '1.0e-02', 'Version 2018', 'install mkl 2018.0.3'
        # not in brackets: Python 3.5 has no such form
        with spoilt_convolution(type(be), name), refused(NeonRnnError, *words):
            start('mkl', 'float32')
    start('mkl', 'float32')


@contextlib.contextmanager
def spoilt_convolution(kind, name):
    """Return a backend whose method `name` writes a wrong number into its fourth argument."""
    right = getattr(kind, name)

    def wrong(be, *arguments, **more):
        right(be, *arguments, **more)
        result = arguments[3]
        be.convert_data(result, False)
        values = result.get()
        values.flat[values.size // 2] += 0.01 * np.abs(values).max()
        be.clean_data(result, True)
        result.set(values)

    setattr(kind, name, wrong)
    try:
        yield
    finally:
        setattr(kind, name, right)


if __name__ == '__main__':
    run_checks(globals())
