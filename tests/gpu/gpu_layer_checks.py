"""The layers of the eleven networks on neon's gpu backend, against its cpu backend.

PYTHONPATH=tests/gpu/standin:tests/parity:. /path/to/neon/python tests/gpu/gpu_layer_checks.py
"""

import numpy as np
from gpu_models import IMAGES, before, compare, nn, run_checks, start

from neon_rnn.support.errors import UsageError


def convolution(fshape, **more):
    return lambda: [nn.Conv(fshape, init=nn.Kaiming(), **more)]


def test_convolutions():
    """Padded, strided, dilated; maps that divide by 4 and others; with and without a bias."""
    for fshape, shape, more in (
        ((3, 3, 8), (4, 7, 6), {}),
        ((3, 3, 8), (4, 7, 6), {'padding': 2, 'dilation': 2}),
        ((3, 3, 32), (3, 8, 8), {'padding': 2, 'dilation': 2}),
        ((5, 5, 16), (3, 8, 8), {'padding': 2}),
        ((7, 7, 8), (3, 9, 9), {'padding': 3, 'strides': 2}),
        ((1, 1, 2), (8, 3, 3), {'padding': 1}),
        ((1, 1, 36), (5, 3, 2), {'strides': 2}),
        (
            (3, 2, 6),
            (6, 9, 7),
            {'padding': {'pad_h': 1, 'pad_w': 0}, 'strides': {'str_h': 2, 'str_w': 1}},
        ),
    ):
        compare(convolution(fshape, **more), shape)
        compare(convolution(fshape, bias=nn.Constant(0), activation=nn.Rectlin(), **more), shape)


def test_convolution_with_batch_normalisation():
    """The kernel hands over the sums; so it has to where maps are added."""
    for maps in (8, 6):
        more = dict(batch_norm=True, activation=nn.Rectlin(), padding=1)
        compare(convolution((3, 3, maps), **more), (4, 6, 5))


def test_batch_sizes_that_do_not_fit():
    start('gpu', batch_size=24)
    model = nn.Model([nn.Conv((3, 3, 4), init=nn.Kaiming())])
    try:
        model.initialize((4, 5, 5), nn.GeneralizedCost(nn.CrossEntropyMulti()))
    except UsageError as error:
        assert '-z 24' in str(error)
        assert 'divide by 32' in str(error)
    else:
        raise AssertionError('not refused')


def test_pooling():
    for more in (
        {'fshape': (2, 2), 'strides': 2},
        {'fshape': (3, 3), 'strides': 2, 'padding': 1},
        {'fshape': (3, 3), 'strides': 1, 'padding': 1},
        {'fshape': (3, 3), 'strides': 2, 'padding': 1, 'op': 'avg'},
        {'fshape': 'all', 'op': 'avg'},
    ):
        compare(lambda more=more: [nn.Pooling(**more)], (5, 7, 8))


def test_batch_normalisation():
    compare(lambda: [nn.BatchNorm()], (6, 5, 4))
    compare(lambda: [nn.BatchNorm()], (2, 40, 40))  # more than 256 values a map: two warps and more
    compare(lambda: [nn.BatchNorm()], (12, 1, 1))


def test_affine():
    more = dict(init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Rectlin())
    compare(lambda: [nn.Affine(nout=24, **more)], (3, 5, 5))
    compare(lambda: [nn.Affine(nout=300, init=nn.GlorotUniform(), batch_norm=True)], (2, 3, 3))


def test_activations():
    for make in (nn.Rectlin, nn.Tanh, nn.Logistic, nn.Identity, nn.Softmax):
        compare(lambda make=make: [nn.Activation(transform=make())], (7, 1, 1))


def test_softmax_and_cross_entropy():
    """Cost and error, also where a probability is 0 as a float32."""
    found = {}
    for backend in ('numpy', 'gpu'):
        be = start(backend)
        softmax, cost = nn.Softmax(), nn.GeneralizedCost(nn.CrossEntropyMulti())
        cost.initialize(nn.Activation(transform=softmax).configure(2))
        scores = np.random.RandomState(4).randn(2, IMAGES) * 3
        scores[0, :2] = 60, -60
        y, t = be.empty((2, IMAGES)), be.zeros((2, IMAGES))
        y[:] = softmax(be.array(scores))
        targets = np.zeros((2, IMAGES), dtype=y.dtype)
        targets[np.arange(IMAGES) % 2, np.arange(IMAGES)] = 1
        t.set(targets)
        found[backend] = float(cost.get_cost(y, t)[0, 0]), cost.get_errors(y, t).get()
    assert abs(found['gpu'][0] / found['numpy'][0] - 1) < 1e-5, found
    np.testing.assert_allclose(found['gpu'][1], found['numpy'][1], atol=1e-6)


def test_data_transform():
    results = []
    for backend in ('numpy', 'gpu'):
        be = start(backend)
        layer = nn.DataTransform(transform=nn.Normalizer(divisor=128.0))
        layer.configure((3, 4, 4))
        layer.allocate()
        pixels = np.random.RandomState(2).randint(0, 256, (48, IMAGES))
        results.append(layer.fprop(be.array(pixels)).get())
    np.testing.assert_array_equal(results[0], results[1])


def test_sums_of_pathways():
    """Residual blocks: the identity or a convolution beside the body, and two in a row."""

    def block(maps, shortcut):
        more = dict(init=nn.Kaiming(), padding=1)
        body = [
            nn.Conv((3, 3, maps), batch_norm=True, activation=nn.Rectlin(), **more),
            nn.Conv((3, 3, maps), **more),
        ]
        return [nn.MergeSum([body, shortcut()]), nn.Activation(transform=nn.Rectlin())]

    def skip():
        return [nn.SkipNode()]

    def projection():
        return [nn.Conv((1, 1, 8), init=nn.Kaiming())]

    compare(lambda: block(4, skip), (4, 5, 5))
    compare(lambda: block(8, projection), (4, 5, 5))
    compare(lambda: block(8, projection) + block(8, skip), (4, 5, 5))


def test_dropout():
    """The right share of ones, a new mask each time, the same backward, none in inference."""
    be = start('gpu')
    model = nn.Model(before() + [nn.Dropout(keep=0.7)])
    model.initialize((4, 8, 8), nn.GeneralizedCost(nn.CrossEntropyMulti()))
    x = be.array(1 + np.random.RandomState(1).rand(256, IMAGES))
    masks = []
    for _ in range(2):
        kept = model.fprop(x).get() != 0
        model.bprop(be.array(np.ones((256, IMAGES))))
        masks.append(kept)
        np.testing.assert_array_equal(model.layers.layers[2].deltas.get() != 0, kept)
    assert 0 < np.mean(masks[0] != masks[1]) < 0.6
    assert abs(np.mean(masks) - 0.7) < 0.02, np.mean(masks)
    # the layer works in place: what it was given is taken from a model without it
    inferences = []
    for layers in ([], [nn.Dropout(keep=0.7)]):
        model = nn.Model(before() + layers)
        model.initialize((4, 8, 8), nn.GeneralizedCost(nn.CrossEntropyMulti()))
        inferences.append(model.fprop(x, inference=True).get())
    np.testing.assert_allclose(inferences[1], np.float32(0.7) * inferences[0], rtol=1e-6)


if __name__ == '__main__':
    run_checks(globals())
