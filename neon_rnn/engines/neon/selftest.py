"""A numeric test of the 1x1 convolution: the MKL of the wheel 2018.0.0 computes it wrongly under
neon's mkl backend.

Measured on an AMD EPYC: with MKL's AVX2 kernels the wheel 2018.0.0 gets the second of `CASES` wrong
in all three results (none of the 1,152 values of the output is finite) and the first one right;
with its default kernels both are wrong. The wheel 2018.0.3 deviates by 7e-7 at most.
"""

import numpy as np

from neon_rnn.support.errors import NeonRnnError

TOLERANCE = 1e-3
#: (channels, side, filters, padding, images); the second is the last convolution of the published
#: network.
CASES = ((64, 8, 32, 0, 16), (1024, 4, 2, 1, 16))


def convolution_error(be):
    """Return the largest deviation of the backend's 1x1 convolution from NumPy's in float64,
    relative to the largest value.

    Nothing is drawn from the backend's own random numbers.

    Parameters
    ----------
    be : neon's backend

    Returns
    -------
    float
        Over the output, the error of the input and the gradient of the weights, for each of
        `CASES`.
    """
    return max(_case(be, *case) for case in CASES)


def _case(be, channels, side, filters, padding, images):
    rng = np.random.RandomState(11)
    outer = side + 2 * padding
    x = rng.randn(channels, side, side, images).astype(np.float32)
    weights = rng.randn(channels, filters).astype(np.float32)
    error = rng.randn(filters, outer, outer, images).astype(np.float32)

    layer = be.conv_layer(
        be.default_dtype,
        N=images,
        C=channels,
        K=filters,
        H=side,
        W=side,
        R=1,
        S=1,
        pad_h=padding,
        pad_w=padding,
    )
    inputs, f, e = (
        be.array(values.reshape(shape))
        for values, shape in (
            (x, (-1, images)),
            (weights, (channels, filters)),
            (error, (-1, images)),
        )
    )
    output, deltas, gradient = (
        be.zeros((filters * outer * outer, images)),
        be.zeros(inputs.shape),
        be.zeros(f.shape),
    )
    be.fprop_conv(layer, inputs, f, output)
    be.bprop_conv(layer, f, e, deltas)
    be.update_conv(layer, inputs, e, gradient)

    inside = error[:, padding : padding + side, padding : padding + side]
    expected_output = np.zeros(error.shape)
    expected_output[:, padding : padding + side, padding : padding + side] = _product(weights.T, x)
    pairs = (
        (output, expected_output),
        (deltas, _product(weights, inside)),
        (gradient, _rows(x).dot(_rows(inside).T)),
    )
    return max(_deviation(be, tensor, expected) for tensor, expected in pairs)


def _rows(values):
    """(K, ...) -> (K, everything else) in float64."""
    return values.reshape(len(values), -1).astype(np.float64)


def _product(matrix, values):
    """Multiply a matrix with the first axis of `values`."""
    return matrix.astype(np.float64).dot(_rows(values)).reshape((len(matrix),) + values.shape[1:])


def _deviation(be, tensor, expected):
    be.convert_data(tensor, False)
    found = tensor.get().reshape(expected.shape)
    if not np.all(np.isfinite(found)):
        return float('inf')
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check_convolution(be, version):
    """Raise `NeonRnnError` where the 1x1 convolution is wrong; `version` names the library in the
    message.
    """
    deviation = convolution_error(be)
    if not deviation < TOLERANCE:
        found = (
            'the largest deviation is {:.1e} of the largest value'.format(deviation)
            if np.isfinite(deviation)
            else 'some results are not finite'
        )
        raise NeonRnnError(
            'this MKL computes 1x1 convolutions wrongly under neon: {} ({}). The wheel mkl '
            '2018.0.0 is known '
            'for it; install mkl 2018.0.3.'.format(found, version)
        )
