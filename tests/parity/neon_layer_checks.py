"""The SpatialRNN layer of the neon engine, on real neon.

PYTHONPATH=. /path/to/neon/python tests/parity/neon_layer_checks.py
"""

import unittest

import numpy as np
from neon_layers import (
    BACKENDS,
    BLOCK,
    CELLS,
    IMAGES,
    NEONS,
    SHAPE,
    in_mkls_layout,
    layer_of,
    nn,
    params,
    refused,
    run_checks,
    slope,
    standing_alone,
    start,
)

from neon_rnn.engines.neon import library
from neon_rnn.support.errors import UsageError

EXACT = tuple(
    cell for cell in CELLS if cell != 'BiBNRNN'
)  # neon's own gradient of BiBNRNN is not exact, see the records


def test_birnn_against_numpy():
    """Compute the layer by its definition: columns in both directions, then rows."""
    be = start()
    layer, x, _ = standing_alone(be)
    for sweep in (layer.vertical, layer.horizontal):
        sweep.b_f[:] = 0.1
        sweep.b_b[:] = -0.2
    found = layer.fprop(be.array(x)).get().reshape(6, 3, 2, IMAGES)

    def sweep(weights, sequence):
        result = np.zeros((len(sequence), 6))
        for half, suffix in ((slice(0, 3), 'f'), (slice(3, 6), 'b')):
            w, r, b = (
                getattr(weights, name + suffix).get() for name in ('W_input_', 'W_recur_', 'b_')
            )
            h = np.zeros(3)
            for step in range(len(sequence)) if suffix == 'f' else reversed(range(len(sequence))):
                h = np.tanh(w.dot(sequence[step]) + r.dot(h) + b[:, 0])
                result[step, half] = h
        return result

    images = x.reshape(SHAPE + (IMAGES,))
    for image in range(IMAGES):
        middle = np.zeros((3, 2, 6))
        for column in range(2):
            blocks = [
                images[:, 2 * row : 2 * row + 2, 4 * column : 4 * column + 4, image].ravel()
                for row in range(3)
            ]
            middle[:, column] = sweep(layer.vertical, blocks)
        for row in range(3):
            np.testing.assert_allclose(
                found[:, row, :, image], sweep(layer.horizontal, middle[row]).T, atol=1e-12
            )


def test_gradients_are_finite_differences():
    """Of the input and of the weights, for every cell, in float64."""
    for cell in EXACT:
        be = start()
        layer, x, e = standing_alone(be, cell)
        inputs = be.array(x)

        def cost(layer=layer, inputs=inputs, e=e):
            return float((layer.fprop(inputs).get() * e).sum())

        cost()
        deltas = layer.bprop(be.array(e)).get()
        gradients = [(tensor, gradient.get()) for (tensor, gradient), _ in layer.get_params()]
        assert len(gradients) == (2 if cell in NEONS + ('BiGRU',) else 4)
        rng = np.random.RandomState(1)
        for tensor, gradient in [(inputs, deltas)] + gradients:
            for _ in range(6):
                place = tuple(rng.randint(size) for size in tensor.shape)
                np.testing.assert_allclose(
                    gradient[place],
                    slope(tensor, place, cost),
                    rtol=1e-5,
                    atol=1e-8,
                    err_msg=cell,
                )


def test_alpha_and_beta():
    for backend in BACKENDS:
        be = start(backend, 'float32')
        layer, x, e = standing_alone(be)
        layer.fprop(be.array(x))
        plain = layer.bprop(be.array(e)).get()
        layer.deltas[:] = 2
        scaled = layer.bprop(be.array(e), alpha=0.5, beta=3.0).get()
        np.testing.assert_allclose(scaled, 0.5 * plain + 6, atol=1e-5)
        once = layer.fprop(be.array(x)).get()
        np.testing.assert_allclose(layer.fprop(be.array(x), beta=2.0).get(), 3 * once, atol=1e-5)


def test_the_error_is_left_alone():
    be = start()
    layer, x, e = standing_alone(be)
    layer.fprop(be.array(x))
    error = be.array(e)
    first = layer.bprop(error).get()
    np.testing.assert_array_equal(error.get(), e)
    np.testing.assert_array_equal(
        layer.bprop(be.array(e)).get(), first
    )  # another tensor: neon keeps views of the first


def test_an_image_does_not_depend_on_others():
    """It depends neither on its neighbours nor on the minibatch before."""
    for cell in EXACT:
        for backend in BACKENDS:
            be = start(backend, 'float32')
            layer, x, _ = standing_alone(be, cell)
            inputs = be.array(x)
            first = layer.fprop(inputs).get()
            np.testing.assert_allclose(layer.fprop(inputs).get(), first, atol=1e-6, err_msg=cell)
            other = x[:, ::-1] * 2
            other[:, 0] = x[:, 1]
            layer.fprop(be.array(other))
            inputs.set(other.astype(np.float32))
            np.testing.assert_allclose(
                layer.fprop(inputs).get()[:, 0], first[:, 1], atol=1e-6, err_msg=cell
            )


def test_carried_state_is_refused():
    start()
    for RNN, more, words in (
        (nn.BiRNN, {'reset_cells': False}, 'reset_cells'),
        (nn.Affine, {}, 'recurrent layers'),
    ):
        with refused(UsageError, words):
            nn.SpatialRNN(SHAPE, BLOCK, RNN, dict(params('BiRNN'), **more))


def test_shapes_that_come_out():
    """Two sets of features from a bidirectional cell, one from a one-directional one."""
    start()
    for cell in CELLS:
        features = 6 if 'Bi' in cell else 3
        layer = layer_of(cell).configure(SHAPE)
        assert layer.out_shape == (features, 3, 2), (cell, layer.out_shape)
        assert layer.vertical.nin == 16
        assert layer.horizontal.nin == features


def test_shapes_that_do_not_fit():
    start()
    for shape, block, words in (
        (SHAPE, (2, 4, 4), 'height 4 does not divide the map height 6'),
        (SHAPE, (1, 2, 4), 'all channels'),
        ((6, 8), BLOCK, 'three sizes'),
        (SHAPE, (2, 0, 4), 'positive'),
    ):
        with refused(UsageError, words):
            layer_of(shape=shape, block=block)
    with refused(UsageError, '(2, 6, 8)', '(2, 8, 8)'):
        layer_of().configure((2, 8, 8))


def test_mkl_against_numpy_and_one_step():
    """Also where one block spans the map, so that each sequence has one step."""
    if 'mkl' not in BACKENDS:
        raise unittest.SkipTest(library.why_no_mkl())
    for cell in CELLS:
        for block in (BLOCK, SHAPE, (2, 6, 1)):
            results = []
            for backend in BACKENDS:
                be = start(backend, 'float32')
                layer, x, e = standing_alone(be, cell, block=block)
                out = layer.fprop(be.array(x)).get()
                results.append(
                    [out, layer.bprop(be.array(e)).get()]
                    + [g.get() for (_, g), _ in layer.get_params()]
                )
            for expected, found in zip(results[0], results[-1]):
                assert np.all(np.isfinite(expected))
                np.testing.assert_allclose(
                    found,
                    expected,
                    rtol=0,
                    atol=1e-5 * np.abs(expected).max(),
                    err_msg='{} {}'.format(cell, block),
                )


def test_layouts_of_mkl():
    """Inputs in MKL's layout are converted; a layout left on the result is dropped, or read."""
    if 'mkl' not in BACKENDS:
        raise unittest.SkipTest(library.why_no_mkl())
    be = start('mkl', 'float32')
    shape, out_shape = (16, 6, 8), (16, 3, 4)
    layer, x, e = standing_alone(
        be, layer=nn.SpatialRNN(shape, (16, 2, 2), nn.BiRNN, dict(params('BiRNN'), output_size=8))
    )
    size = (int(np.prod(shape)), be.bsz), (int(np.prod(out_shape)), be.bsz)

    def plain(tensor):
        be.convert_data(tensor, False)
        return tensor.get()

    def close(found, expected):
        np.testing.assert_allclose(found, expected, atol=1e-5)

    foreign = be.zeros(size[0])
    values = in_mkls_layout(be, foreign, shape)
    close(plain(layer.fprop(foreign)), plain(layer.fprop(be.array(values))))

    expected = plain(layer.fprop(be.array(x)))
    before = in_mkls_layout(be, layer.outputs, out_shape)
    close(plain(layer.fprop(be.array(x))), expected)
    before = in_mkls_layout(be, layer.outputs, out_shape)
    close(plain(layer.fprop(be.array(x), beta=0.5)), expected + 0.5 * before)

    foreign = be.zeros(size[1])
    values = in_mkls_layout(be, foreign, out_shape)
    close(plain(layer.bprop(foreign)), plain(layer.bprop(be.array(values))))

    expected = plain(layer.bprop(be.array(e)))
    in_mkls_layout(be, layer.deltas, shape)
    close(plain(layer.bprop(be.array(e))), expected)
    before = in_mkls_layout(be, layer.deltas, shape)
    close(plain(layer.bprop(be.array(e), alpha=2.0, beta=0.5)), 2 * expected + 0.5 * before)


if __name__ == '__main__':
    run_checks(globals())
