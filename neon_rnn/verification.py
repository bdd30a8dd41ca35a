"""The cases in which an engine is held to results recorded from Intel neon, and how they are compared.

A case is a small network, trained for some minibatches on made-up pixels through the calls of the engine contract only,
so that neon (``tests/fixtures/record_neon.py``) and the engine under test run the very same lines.
"""
import collections
import functools
import json
import os
import zipfile

import numpy as np

from neon_rnn import published
from neon_rnn.errors import NeonRnnError
from neon_rnn.files import atomic_file
from neon_rnn.models.rnn import generate_rnn_cls_model

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'recorded')
SEED = 42
#: Of a larger array so many values are kept, evenly spread.
SAMPLES = 254

#: Costs up to this minibatch are of kind ``cost``, those after it of kind ``later cost``.
FIRST_COSTS = 2
KINDS = ('initial', 'cost', 'later cost', 'gradient', 'step 1', 'last step', 'probability')


def _tolerances(*limits):
    return collections.OrderedDict(zip(KINDS, limits))


#: Largest deviation from neon's cpu backend that counts as the same arithmetic, in the order of `KINDS`. All are relative:
#: a cost's to the cost, an array's largest to the array's largest value; probabilities' are absolute. In float64 only the
#: arithmetic counts (weights are read, probabilities predicted in float32).
EXACT = _tolerances(1e-7, 1e-9, 1e-9, 1e-7, 1e-7, 1e-7, 1e-6)
ROUNDED = _tolerances(1e-7, 1e-5, 1e-5, 2e-5, 2e-5, 2e-5, 1e-4)
#: In float32 the network amplifies rounding, at the kinks of its rectifiers and the ties of its maxima, from one minibatch
#: to the next: neon's own mkl backend departs from its cpu backend by up to 2% in a cost of the same training.
AMPLIFIED = _tolerances(1e-7, 1e-5, 5e-3, 2e-4, 2e-4, 2e-1, 1e-2)
#: neon's fast backends on the network: they also choose otherwise among equal maxima, so that gradients depart at once
#: (2.5e-2 of the largest value as measured), and after twelve steps parameters near zero by their own size.
OTHER_MAXIMA = _tolerances(1e-7, 1e-5, 3e-2, 1e-1, 1e-1, 5.0, 5e-2)

#: How far neon's mkl backend may be from its cpu backend in a cost of the network in float32 (2.2% was the most seen).
MKL_COST_TOLERANCE = 0.03

#: `build` takes the engine and returns (model, cost); `shape` is (C, H, W); `tolerances` maps each of `KINDS` to a limit.
Case = collections.namedtuple('Case', 'name build shape batch_size minibatches precision tolerances')
#: How far a result is from the recorded one; `name` is that of a parameter or the number of a minibatch.
Deviation = collections.namedtuple('Deviation', 'case kind name value')


def cases():
    """Every case, the published network last.

    Returns
    -------
    list of Case
    """
    small = [Case(name, functools.partial(_between, layers), (3, 8, 8), 8, 3, 'float32', ROUNDED)
             for name, layers in _LAYERS.items()]
    return small + [Case('network rnn, float64', _network, (3, 64, 64), 16, 12, 'float64', EXACT),
                    Case('network rnn, float32', _network, (3, 64, 64), 16, 12, 'float32', AMPLIFIED)]


def _network(nn):
    return generate_rnn_cls_model((3, 64, 64), nn)


def _between(layers, nn):
    """The layers under test between a convolution, whose gradients show the error that they hand back, and a classifier."""
    model = nn.Model(layers=[
        nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
        nn.Conv(fshape=(3, 3, 6), init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Tanh(), padding=1)]
        + layers(nn)
        + [nn.Affine(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax())])
    return model, nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def _convolution(nn):
    return [nn.Conv(fshape=(3, 3, 8), init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Rectlin(), padding=2,
                    strides=1, dilation=2)]


def _strided_convolution(nn):
    return [nn.Conv(fshape=(3, 2, 5), init=nn.Gaussian(scale=0.1), bias=nn.Constant(0.1), activation=nn.Logistic(),
                    padding=1, strides=2)]


def _batch_norm(nn):
    return [nn.BatchNorm(), nn.Activation(transform=nn.Tanh())]


def _max_pooling(nn):
    return [nn.Pooling(fshape=(3, 3), padding=1, strides=2)]


def _average_pooling(nn):
    return [nn.Pooling(fshape=2, strides=2, op='avg'), nn.Pooling(fshape='all', op='avg')]


def _affine(nn):
    return [nn.Affine(nout=7, init=nn.GlorotUniform(), batch_norm=True, activation=nn.Rectlin())]


def _residual(nn):
    side = [nn.Conv(fshape=(3, 3, 6), init=nn.Kaiming(), padding=1, batch_norm=True, activation=nn.Rectlin()),
            nn.Conv(fshape=(3, 3, 6), init=nn.Kaiming(), padding=1)]
    return [nn.MergeSum([side, [nn.SkipNode()]]), nn.Activation(transform=nn.Rectlin())]


def _spatial(cell, nn):
    params = dict(output_size=4, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    return [nn.SpatialRNN(input_shape=(6, 8, 8), block_shape=(6, 2, 4), RNN=getattr(nn, cell), RNN_params=params)]


_LAYERS = collections.OrderedDict([
    ('Conv, dilation 2', _convolution),
    ('Conv, stride 2', _strided_convolution),
    ('BatchNorm', _batch_norm),
    ('Pooling, max', _max_pooling),
    ('Pooling, avg', _average_pooling),
    ('Affine, batch norm', _affine),
    ('MergeSum, SkipNode', _residual),
])
for _cell in ('BiRNN', 'BiLSTM', 'BiBNRNN', 'Recurrent', 'LSTM', 'GRU'):
    _LAYERS['SpatialRNN, ' + _cell] = functools.partial(_spatial, _cell)


def pixels(case):
    """The pictures of a case: mosaics of 8 x 8 random tiles, brighter above the middle in class 1, so that they can be learnt.

    Returns
    -------
    inputs : numpy.ndarray
        uint8 (minibatches * batch_size, C*H*W).
    labels : numpy.ndarray
        int64 (minibatches * batch_size,).
    """
    rng = np.random.RandomState(7)
    count = case.minibatches * case.batch_size
    labels = rng.randint(0, 2, count)
    channels, height, width = case.shape
    inputs = rng.randint(0, 224, (count, channels, 8, 8))
    inputs[:, :, :4] += 31 * labels[:, None, None, None]
    inputs = inputs.repeat(height // 8, axis=2).repeat(width // 8, axis=3)
    return inputs.astype(np.uint8).reshape(count, -1), labels


def observe(nn, case, backend):
    """Run a case on a loaded engine.

    Parameters
    ----------
    nn : module
        The engine.
    case : Case
    backend : str
        As ``-b``.

    Returns
    -------
    results : collections.OrderedDict
        ``cost`` (minibatches,), ``probability`` (the first minibatch's images and three more, classes), and for every
        parameter, as `digest`, ``initial/<name>``, ``gradient/<name>`` of the first minibatch with its weight decay,
        ``step 1/<name>`` and ``last step/<name>``, running statistics included.
    device : dict
        What ``start`` said of the machine.
    """
    device = nn.start(backend, case.batch_size, SEED, precision=case.precision)
    model, cost = case.build(nn)
    model.initialize(case.shape, cost)
    optimizer = nn.GradientDescentMomentum(published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF,
                                           wdecay=published.WDECAY)
    inputs, labels = pixels(case)
    results = collections.OrderedDict()
    _keep(results, 'initial', nn.get_weights(model))
    costs = []
    for step in range(case.minibatches):
        part = slice(step * case.batch_size, (step + 1) * case.batch_size)
        costs.append(float(nn.train_step(model, inputs[part], labels[part], optimizer, 0)))
        if step == 0:
            # after the first step the velocity is -learning_rate * (gradient + wdecay * W)
            _keep(results, 'gradient', {name: -arrays[0] / published.LEARNING_RATE for name, arrays in
                                        nn.get_optimizer_state(model, optimizer).items()})
            _keep(results, 'step 1', nn.get_weights(model))
    _keep(results, 'last step', nn.get_weights(model))
    results['cost'] = np.array(costs)
    results['probability'] = nn.predict(model, inputs[:case.batch_size + 3]).astype(np.float64)
    return results, device


def _keep(results, kind, arrays):
    for name, values in sorted(arrays.items()):
        results['{}/{}'.format(kind, name)] = digest(values)


def digest(values):
    """What is kept of an array: its norm, its sum, and up to `SAMPLES` values at even distances.

    Returns
    -------
    numpy.ndarray
        float64 (2 + samples,).
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    sample = flat[::-(-flat.size // SAMPLES)]
    return np.concatenate([[np.sqrt((flat ** 2).sum()), flat.sum()], sample])


def compare(case, expected, found):
    """The deviation of every result of a case from the recorded one.

    Parameters
    ----------
    case : Case
    expected, found : dict of numpy.ndarray
        As `observe` returns them.

    Returns
    -------
    list of Deviation

    Raises
    ------
    NeonRnnError
        A result is missing, is too many or has another shape.
    """
    problems = ['{} is missing'.format(key) for key in expected if key not in found]
    problems += ['{} was not recorded'.format(key) for key in found if key not in expected]
    problems += ['{} is {}, recorded was {}'.format(key, found[key].shape, expected[key].shape) for key in expected
                 if key in found and found[key].shape != expected[key].shape]
    if problems:
        raise NeonRnnError('case {}: the recorded results are of another network: {}.'.format(case.name,
                                                                                              '; '.join(problems[:4])))
    deviations = []
    for key, values in expected.items():
        kind, _, name = key.partition('/')
        difference = np.abs(found[key] - values)
        if kind == 'cost':
            deviations += [Deviation(case, kind if step <= FIRST_COSTS else 'later cost', str(step), value)
                           for step, value in enumerate(difference / np.abs(values), 1)]
        elif kind == 'probability':
            deviations.append(Deviation(case, kind, '', difference.max()))
        else:
            deviations.append(Deviation(case, kind, name, _of_digest(difference, values)))
    return [deviation._replace(value=float(deviation.value)) for deviation in deviations]


def _of_digest(difference, expected):
    """The larger of the norm's deviation and of the largest value's; the sum is compared on the scale of the norm."""
    scale = np.abs(expected[2:]).max()
    norm = expected[0]
    if norm == 0 or scale == 0:  # biases before the first step
        return difference.max()
    # a sum of n rounded values is as uncertain as sqrt(n) of them, which is what the norm measures
    return max(difference[2:].max() / scale, difference[0] / norm, difference[1] / (norm * np.sqrt(len(expected))))


def tolerance(deviation):
    """The limit for a deviation."""
    return deviation.case.tolerances[deviation.kind]


def beyond(deviations):
    """Those above their tolerance; what is not a number counts as above."""
    return [deviation for deviation in deviations if not deviation.value <= tolerance(deviation)]


def path_of(case):
    """Where the recorded results of a case are kept."""
    return os.path.join(FOLDER, ''.join(letter if letter.isalnum() else '-' for letter in case.name.lower()
                                        .replace(', ', '-')) + '.npz')


def save(path, results, provenance):
    """Write recorded results: arrays, and JSON that says where they come from."""
    arrays = {key.replace('/', '|'): values for key, values in results.items()}
    text = json.dumps({'order': list(results), 'provenance': provenance}, sort_keys=True)
    with atomic_file(path) as file:
        np.savez_compressed(file, meta=np.frombuffer(text.encode('utf-8'), dtype=np.uint8), **arrays)


def load(path):
    """Read what `save` wrote.

    Returns
    -------
    results : collections.OrderedDict
    provenance : dict

    Raises
    ------
    NeonRnnError
        The file is missing or damaged; names it.
    """
    try:
        with open(str(path), 'rb') as file, np.load(file, allow_pickle=False) as archive:
            meta = json.loads(archive['meta'].tobytes().decode('utf-8'))
            results = collections.OrderedDict((key, archive[key.replace('/', '|')]) for key in meta['order'])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NeonRnnError('{}: the recorded results cannot be read ({}). They come with the package; '
                           'tests/fixtures/record_neon.py makes them where neon is installed.'.format(path, error))
    return results, meta['provenance']
