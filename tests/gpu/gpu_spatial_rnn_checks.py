"""SpatialRNN on neon's gpu backend, against its cpu backend.

PYTHONPATH=tests/gpu/standin:tests/parity:. /path/to/neon/python tests/gpu/gpu_spatial_rnn_checks.py
"""

import numpy as np
from gpu_models import IMAGES, TOLERANCE, compare, deviation, nn, run_checks, start
from neon_layers import CELLS, SHAPE, layer_of, params, standing_alone

#: One step of a sweep up to six, blocks of one value and of the whole map.
BLOCKS = ((2, 2, 4), (2, 3, 2), (2, 1, 8), (2, 6, 1), SHAPE)


def test_every_cell_and_block_shape():
    """Standing alone: outputs, deltas and every gradient."""
    for cell in CELLS:
        for block in BLOCKS:
            results = []
            for backend in ('numpy', 'gpu'):
                be = start(backend)
                layer, x, e = standing_alone(be, cell, block=block)
                results.append(
                    [layer.fprop(be.array(x)).get(), layer.bprop(be.array(e)).get()]
                    + [gradient.get() for (_, gradient), _ in layer.get_params()]
                )
            for expected, found in zip(*results):
                # a sweep of one step has no recurrence, and the gradient of its weights is 0
                value = deviation(found, expected, least=1e-3)
                assert value < TOLERANCE, (cell, block, value)


def test_images_do_not_depend_on_the_minibatch_before():
    be = start('gpu')
    layer, x, _ = standing_alone(be)
    inputs = be.array(x)
    first = layer.fprop(inputs).get()
    inputs.set((2 * x).astype(np.float32))
    layer.fprop(inputs)
    inputs.set(x.astype(np.float32))
    np.testing.assert_array_equal(layer.fprop(inputs).get(), first)


def test_alpha_and_beta():
    be = start('gpu')
    layer, x, e = standing_alone(be)
    once = layer.fprop(be.array(x)).get()
    plain = layer.bprop(be.array(e)).get()
    layer.deltas[:] = 2
    np.testing.assert_allclose(
        layer.bprop(be.array(e), alpha=0.5, beta=3.0).get(), 0.5 * plain + 6, atol=1e-5
    )
    np.testing.assert_allclose(layer.fprop(be.array(x), beta=2.0).get(), 3 * once, atol=1e-5)


def second():
    """Takes what `layer_of()` makes, and makes the same shape."""
    return nn.SpatialRNN((6, 3, 2), (6, 1, 1), nn.BiRNN, params('BiRNN'))


def test_in_models():
    """Twice with normalisation between, with every cell after another, and in a sum of pathways."""
    compare(lambda: [layer_of(), nn.BatchNorm(), second()], SHAPE)
    compare(lambda: [layer_of(), second()], SHAPE)
    compare(lambda: [nn.MergeSum([[layer_of()], [layer_of('BiLSTM')]])], SHAPE)


def test_as_the_first_layer():
    """The first layer hands back no error; three steps of training agree in their costs."""
    costs = {}
    for backend in ('numpy', 'gpu'):
        start(backend)
        model = nn.Model(
            [
                layer_of(),
                second(),
                nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
            ]
        )
        model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
        optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
        pixels = (
            np.random.RandomState(2).randint(0, 3, (IMAGES, int(np.prod(SHAPE)))).astype(np.uint8)
        )
        costs[backend] = [
            nn.train_step(model, pixels, np.arange(IMAGES) % 2, optimizer, 0) for _ in range(3)
        ]
    np.testing.assert_allclose(costs['gpu'], costs['numpy'], rtol=1e-5)
    assert costs['gpu'][2] < costs['gpu'][0]


if __name__ == '__main__':
    run_checks(globals())
