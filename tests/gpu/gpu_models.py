"""What the checks of neon's gpu backend share: the same layers on it and on the cpu backend.

The reference is neon's cpu backend in float64; a deviation is a share of the largest value of the
reference. Runs on Python 3.5 or 3.6.
"""

import collections

import numpy as np
from neon_layers import nn, run_checks  # noqa: F401

from neon_rnn.engines.neon import library, weights

IMAGES = 32  # neon's convolutions on Kepler take no other than multiples
SEED = 3
#: Of the largest value; the largest that was measured is named in docs/gpu-on-cpu.md.
TOLERANCE = 1e-5

Results = collections.namedtuple('Results', 'outputs inference deltas gradients')


def start(backend, precision=None, batch_size=IMAGES):
    """Start a backend; numpy in float64 unless a precision is named."""
    precision = precision or ('float32' if backend == 'gpu' else 'float64')
    nn.start(backend, batch_size, SEED, precision=precision)
    return library.neon.NervanaObject.be


def before():
    """Return the layers in front of those under test; neon's BatchNorm cannot be the first one."""
    return [nn.DataTransform(transform=nn.Normalizer(divisor=1.0)), nn.BatchNorm()]


def observe(backend, layers, shape, error_of=None):
    """Run layers, behind those of `before`, forward, backward and in inference mode.

    Parameters
    ----------
    backend : str
    layers : callable
        Returns a list of layers; `nn` has a backend by then.
    shape : tuple of int or int
        What the first one takes.
    error_of : callable, optional
        Makes the error, (features, images), of the outputs; default: normal random numbers.

    Returns
    -------
    Results
        ``deltas`` is the error that the first of `layers` hands back.
    """
    be = start(backend)
    model = nn.Model(before() + layers())
    model.initialize(shape, nn.GeneralizedCost(nn.CrossEntropyMulti()))
    rng = np.random.RandomState(5)
    for parameter in weights.parameters(model):
        values = parameter.tensor.get()
        moved = values + 0.1 * rng.rand(
            *values.shape
        )  # biases that are not 0, variances that are positive
        parameter.tensor.set(moved.astype(values.dtype))
    # neon's layers keep views of the tensor that they saw first: one for all three passes
    x = be.array(rng.randn(int(np.prod(shape)), be.bsz))
    outputs = model.fprop(x).get()
    error = rng.randn(*outputs.shape) if error_of is None else error_of(outputs)
    model.bprop(be.array(error))
    gradients = collections.OrderedDict(
        (parameter.name, parameter.gradient.get())
        for parameter in weights.parameters(model)
        if parameter.gradient is not None
    )
    deltas = model.layers.layers[2].deltas.get()
    return Results(outputs, model.fprop(x, inference=True).get(), deltas, gradients)


def deviation(found, expected, least=0.0):
    """Return the largest difference as a share of the largest expected value.

    It is infinite where a number is not finite. `least` takes the place of the largest expected
    value where that is smaller: some gradients are 0 but for rounding.
    """
    found = np.asarray(found, dtype=np.float64)
    if not np.all(np.isfinite(found)):
        return float('inf')
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), least))


def compare(layers, shape, tolerance=TOLERANCE, error_of=None):
    """Hold outputs, deltas and every gradient to the cpu backend; return the largest deviation."""
    expected = observe('numpy', layers, shape, error_of)
    found = observe('gpu', layers, shape, error_of)
    deviations = collections.OrderedDict(
        (name, deviation(getattr(found, name), getattr(expected, name)))
        for name in ('outputs', 'inference', 'deltas')
    )
    assert list(found.gradients) == list(expected.gradients)
    least = 0.1 * max(np.abs(gradient).max() for gradient in expected.gradients.values())
    for name, gradient in expected.gradients.items():
        deviations['gradient of ' + name] = deviation(found.gradients[name], gradient, least)
    wrong = {name: value for name, value in deviations.items() if not value < tolerance}
    assert not wrong, wrong
    return max(deviations.values())
