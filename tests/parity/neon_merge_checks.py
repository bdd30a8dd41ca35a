"""The residual blocks on neon's mkl backend: sums, and gradients against neon in float64.

    PYTHONPATH=. /path/to/neon/python tests/parity/neon_merge_checks.py

In 2.6.0 MergeSum is not right everywhere on mkl (`neon_rnn.engines.neon.merge_sum`): here is where
it is, and that the rest is refused.
"""

import collections
import itertools
import unittest

import numpy as np
from neon_layers import BACKENDS, layer_of, nn, refused, run_checks, start

from neon_rnn import models
from neon_rnn.engines.neon import library, weights
from neon_rnn.models import resnet
from neon_rnn.support.errors import UsageError

IMAGES, SHAPE = 8, (3, 16, 16)
#: maps, strides, a projection on the shortcut, a bottleneck
BLOCKS = collections.OrderedDict(
    [
        ('identity', (16, 1, False, False)),
        ('projection', (32, 2, True, False)),
        ('bottleneck', (16, 1, False, True)),
        ('bottleneck projection', (16, 1, True, True)),
        ('striding bottleneck projection', (32, 2, True, True)),
    ]
)
#: What stands before the block, or behind it.
NEIGHBOURS = ('rectifier', 'pooling', 'block')


def needs_mkl():
    if 'mkl' not in BACKENDS:
        raise unittest.SkipTest(library.why_no_mkl())


def pathway(maps=16):
    return [nn.Conv((3, 3, maps), init=nn.Kaiming(), padding=1), nn.BatchNorm()]


def rectifier():
    return nn.Activation(transform=nn.Rectlin())


def around(layers, maps=16):
    """Layers on `maps` feature maps between a convolution and a classifier."""
    model = nn.Model(
        layers=[nn.DataTransform(transform=nn.Normalizer(divisor=128.0)), nn.BatchNorm()]
        + pathway(maps)
        + [rectifier()]
        + layers
        + [
            nn.Pooling('all', op='avg'),
            nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
        ]
    )
    return model, nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def blocks(name, neighbour):
    """A model of one block, or two, of the residual networks."""
    maps, strides, project, bottleneck = BLOCKS[name]
    layers = [nn.Pooling((3, 3), padding=1, strides=2)] if neighbour == 'pooling' else []
    layers += resnet.residual_block(nn, maps, strides, project, bottleneck)
    if neighbour == 'block':
        layers += resnet.residual_block(nn, maps, 1, False, bottleneck)
    return around(layers, 64 if bottleneck else 16)


def trained(build, backend, precision, shape=SHAPE, images=IMAGES, steps=1, watched=None):
    """Train on noise for `steps`, then predict.

    Returns the gradients of the first step: name -> float64 array.
    """
    be = start(backend, precision, images)
    if watched is not None:
        watch_sums(be, watched)
    model, cost = build()
    model.initialize(shape, cost)
    optimizer = nn.GradientDescentMomentum(0.001, momentum_coef=0.9, wdecay=0.0005)
    inputs = (
        np.random.RandomState(5).randint(0, 256, (images, int(np.prod(shape)))).astype(np.uint8)
    )
    for step in range(steps):
        nn.train_step(model, inputs, np.arange(images) % 2, optimizer, 0)
        if step == 0:
            gradients = {
                parameter.name: parameter.gradient.get().astype(np.float64)
                for parameter in weights.parameters(model)
                if parameter.gradient is not None
            }
    nn.predict(model, inputs)
    return gradients


def in_numpys_order(be, tensor):
    """A tensor's values; the tensor stays in MKL's layout."""
    return (be.get_numpy(tensor) if tensor.primitive[2] else tensor._tensor).astype(np.float64)


def watch_sums(be, found):
    """Append to `found` the relative error of every sum of the mkl backend.

    A SkipNode's summand is what came into the MergeSum, read before any pathway has run: they share
    memory.
    """
    forward, backward, add = be.fprop_mergesum, be.bprop_mergesum, be.sum_tensor
    now = {}

    def watched_forward(state, inputs, inference, layers, outputs, out_shape):
        now.update(
            pathways=layers,
            entered=in_numpys_order(be, inputs),
            result=lambda pathway: (
                [layer for layer in pathway.layers if layer.owns_output][-1].outputs
            ),
        )
        forward(state, inputs, inference, layers, outputs, out_shape)

    def watched_backward(state, alpha, beta, layers, error, deltas):
        now.update(
            pathways=layers[::-1],
            entered=in_numpys_order(be, error),
            result=lambda pathway: pathway.layers[0].deltas,
        )
        deltas.shape5D = state.shape5D  # neon says so after the sum
        backward(state, alpha, beta, layers, error, deltas)

    def watched_sum(primitives, count, tensors, output):
        expected = sum(
            now['entered']
            if isinstance(pathway.layers[-1], nn.SkipNode)
            else in_numpys_order(be, now['result'](pathway))
            for pathway in now['pathways']
        )
        add(primitives, count, tensors, output)
        found.append(np.abs(in_numpys_order(be, output) - expected).max() / np.abs(expected).max())

    be.fprop_mergesum, be.bprop_mergesum, be.sum_tensor = (
        watched_forward,
        watched_backward,
        watched_sum,
    )


def test_every_sum_of_the_residual_networks():
    """Forward, backward and in inference, over two steps, to the rounding of float32."""
    needs_mkl()
    for name, side, merges in (('resnet-18', 32, 8), ('resnet-50', 32, 16), ('tl-1', 32, 16)):
        found, shape = [], (3, side, side)
        trained(
            lambda name=name, shape=shape: models.build(name, nn, shape),
            'mkl',
            'float32',
            shape,
            4,
            2,
            found,
        )
        assert len(found) == 5 * merges, (
            name,
            len(found),
        )  # two steps there and back, one prediction
        assert max(found) < 1e-6, (name, max(found))


def gradient_errors(build):
    """Of every parameter under mkl, relative to neon in float64, by the Euclidean norm."""
    exact, found = trained(build, 'numpy', 'float64'), trained(build, 'mkl', 'float32')
    assert set(found) == set(exact)
    return [
        np.linalg.norm(found[name] - values) / np.linalg.norm(values)
        for name, values in exact.items()
    ]


def test_gradients_of_every_kind_of_block():
    """To MKL's rounding, unless a rectifier crosses its kink: that changes gradients by per cents.

    With a summand left out (the last check) half of the gradients are off by 60% and more.
    """
    needs_mkl()
    medians = []
    for name, neighbour in itertools.product(BLOCKS, NEIGHBOURS):
        errors = gradient_errors(lambda name=name, neighbour=neighbour: blocks(name, neighbour))
        assert max(errors) < 0.1, (name, neighbour, errors)
        medians.append(np.median(errors))
    assert np.median(medians) < 1e-5, medians


def test_a_missing_summand_would_be_noticed():
    """A sum without its last summand is far beyond the limits of the two checks above."""
    needs_mkl()
    backend = type(start('mkl', 'float32'))
    add, found = backend.sum_tensor, []

    def forgetful(be, primitives, count, tensors, output):
        add(be, primitives, count - 1, tensors, output)

    backend.sum_tensor = forgetful
    try:
        trained(lambda: blocks('identity', 'block'), 'mkl', 'float32', watched=found)
        errors = [
            np.median(gradient_errors(lambda name=name: blocks(name, 'rectifier')))
            for name in BLOCKS
        ]
    finally:
        backend.sum_tensor = add
    assert len(found) == 6
    assert min(found) > 0.01, found
    assert min(errors) > 0.3, errors


#: Where neon's mkl backend is wrong: layers, and words of the message.
WRONG = collections.OrderedDict(
    [
        (
            'a rectifier ends a pathway',
            (lambda: [nn.MergeSum([pathway() + [rectifier()], [nn.SkipNode()]])], 'Activation'),
        ),
        (
            'the error has no layout',
            (
                lambda: [nn.MergeSum([pathway(), [nn.SkipNode()]]), nn.Activation(nn.Tanh())],
                'summand 1',
            ),
        ),
        (
            "a layer that is not MKL's",
            (
                lambda: [
                    nn.MergeSum(
                        [
                            [layer_of(shape=(16, 16, 16), block=(16, 1, 1))],
                            [layer_of(shape=(16, 16, 16), block=(16, 1, 1))],
                        ]
                    )
                ],
                'SpatialRNN',
            ),
        ),
        (
            'nested',
            (
                lambda: [
                    nn.Sequential(
                        [nn.MergeSum([[nn.Sequential(pathway() + [rectifier()])], [nn.SkipNode()]])]
                    )
                ],
                'Activation',
            ),
        ),
    ]
)


def test_what_mkl_gets_wrong_is_refused():
    needs_mkl()
    for name, (layers, words) in WRONG.items():
        with refused(UsageError, 'MergeSum', words, '-b numpy'):
            trained(lambda layers=layers: around(layers()), 'mkl', 'float32')
        gradients = trained(lambda layers=layers: around(layers()), 'numpy', 'float32')
        assert all(np.all(np.isfinite(values)) for values in gradients.values()), name


if __name__ == '__main__':
    run_checks(globals())
