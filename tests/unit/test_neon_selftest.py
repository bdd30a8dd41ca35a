"""The self-test of neon's mkl backend, on a backend made of NumPy: right results pass, each wrong
one is refused.

On real neon: tests/parity/neon_model_checks.py; on a real MKL that computes wrongly:
tests/parity/test_live_mkl.py.
"""

import importlib.util
import pathlib
import types

import numpy as np
import pytest

from neon_rnn.support.errors import NeonRnnError

VERSION = 'Version 2018.0.0'


@pytest.fixture(scope='module')
def selftest():
    """The module by its path: its package can be imported only where neon is."""
    path = (
        pathlib.Path(__file__).resolve().parents[2]
        / 'neon_rnn'
        / 'engines'
        / 'neon'
        / 'selftest.py'
    )
    spec = importlib.util.spec_from_file_location('selftest', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tensor:
    def __init__(self, values):
        self.values = np.array(values, dtype=np.float32)
        self.shape = self.values.shape

    def get(self):
        return self.values.copy()


class Backend:
    """1x1 convolutions as neon's backends have them; `spoil` changes the result of one method."""

    default_dtype = np.float32

    def __init__(self, method=None, spoil=None):
        self.method, self.spoil = method, spoil
        self.array, self.zeros = Tensor, lambda shape: Tensor(np.zeros(shape))

    def conv_layer(self, dtype, N, C, K, H, W, R, S, pad_h, pad_w):
        assert (R, S) == (1, 1)
        return types.SimpleNamespace(
            small=(H, W, N), large=(H + 2 * pad_h, W + 2 * pad_w, N), pad=pad_h
        )

    def convert_data(self, tensor, mkl):
        assert mkl is False

    def put(self, method, tensor, values):
        values = values.reshape(tensor.shape)
        tensor.values[:] = self.spoil(values) if method == self.method else values

    def inside(self, layer, error):
        error = error.values.reshape((-1, *layer.large))
        stop = [size - layer.pad for size in error.shape[1:3]]
        return error[:, layer.pad : stop[0], layer.pad : stop[1]].reshape(len(error), -1)

    def fprop_conv(self, layer, inputs, weights, output):
        product = weights.values.T @ inputs.values.reshape(len(weights.values), -1)
        pads = ((0, 0), (layer.pad, layer.pad), (layer.pad, layer.pad), (0, 0))
        self.put('fprop_conv', output, np.pad(product.reshape((-1, *layer.small)), pads))

    def bprop_conv(self, layer, weights, error, deltas):
        self.put('bprop_conv', deltas, weights.values @ self.inside(layer, error))

    def update_conv(self, layer, inputs, error, gradient):
        rows = inputs.values.reshape(len(gradient.values), -1)
        self.put('update_conv', gradient, rows @ self.inside(layer, error).T)


def test_a_backend_that_computes_right_passes(selftest):
    assert selftest.convolution_error(Backend()) < 1e-5
    selftest.check_convolution(Backend(), VERSION)


def one_value(values):
    values = values.copy()
    values.flat[7] += 0.01 * np.abs(values).max()
    return values


@pytest.mark.parametrize('method', ['fprop_conv', 'bprop_conv', 'update_conv'])
@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (one_value, 'the largest deviation is 1.0e-02 of'),
        (np.zeros_like, 'the largest deviation is 1.0e+00 of'),
        (lambda values: values * np.nan, 'some results are not finite'),
    ],
    ids=['one value', 'zeros', 'not a number'],
)
def test_one_that_does_not_is_refused_with_its_version(selftest, method, spoil, words):
    with pytest.raises(NeonRnnError) as refusal:
        selftest.check_convolution(Backend(method, spoil), VERSION)
    message = str(refusal.value)
    assert 'computes 1x1 convolutions wrongly' in message
    assert words in message
    assert '({})'.format(VERSION) in message
    assert 'install mkl 2018.0.3' in message
