"""Run a case on an engine, and compare its results with those recorded from Intel neon.

A case (`neon_rnn.verification.cases`) is trained for some minibatches. Only the calls of the engine
contract are used, so neon (tests/fixtures/record_neon.py) and the engine under test run the same
lines.
"""

import collections
import json
import os
import zipfile

import numpy as np

from neon_rnn import published
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import atomic_file
from neon_rnn.support.wording import first_of
from neon_rnn.verification.cases import pixels
from neon_rnn.verification.tolerances import OFFSETS

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'recorded')
SEED = 42
#: The number of values that are kept of a larger array, at even distances.
SAMPLES = 254

#: Costs up to this minibatch are of kind ``cost``, those after it of kind ``later cost``.
FIRST_COSTS = 2


class Deviation(collections.namedtuple('Deviation', 'case kind name value')):
    """The distance of a result from the recorded one.

    Attributes
    ----------
    case : Case
    kind : str
        One of `tolerances.KINDS`.
    name : str
        The name of a parameter, or the number of a minibatch.
    value : float
    """


def observe(nn, case, backend, copies=1):
    """Run a case on a loaded engine.

    Parameters
    ----------
    nn : module
        The engine.
    case : Case
    backend : str
        As ``-b``.
    copies : int
        How often each minibatch is repeated to fill the batch size (`cases.copies_on`).

    Returns
    -------
    results : collections.OrderedDict
        ``cost`` (minibatches,); ``probability`` (images, classes) of the first minibatch and three
        more images; and as `digest`: for every parameter and running statistic
        ``initial/<name>``, ``step 1/<name>`` and ``last step/<name>``, for every parameter
        ``gradient/<name>`` of the first minibatch, weight decay included.
    device : dict
        The description of the machine that ``start`` returned.
    """
    device = nn.start(backend, copies * case.batch_size, SEED, precision=case.precision)
    model, cost = case.build(nn)
    model.initialize(case.shape, cost)
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    inputs, labels = pixels(case)
    results = collections.OrderedDict()  # type: collections.OrderedDict
    _keep(results, 'initial', nn.get_weights(model))
    costs = []
    for step in range(case.minibatches):
        part = slice(step * case.batch_size, (step + 1) * case.batch_size)
        images, classes = np.tile(inputs[part], (copies, 1)), np.tile(labels[part], copies)
        costs.append(float(nn.train_step(model, images, classes, optimizer, 0)))
        if step == 0:
            # After the first step the velocity is -learning_rate * (gradient + wdecay * W).
            _keep(
                results,
                'gradient',
                {
                    name: -arrays[0] / published.LEARNING_RATE
                    for name, arrays in nn.get_optimizer_state(model, optimizer).items()
                },
            )
            _keep(results, 'step 1', nn.get_weights(model))
    _keep(results, 'last step', nn.get_weights(model))
    results['cost'] = np.array(costs)
    results['probability'] = nn.predict(model, inputs[: case.batch_size + 3]).astype(np.float64)
    return results, device


def _keep(results, kind, arrays):
    for name, values in sorted(arrays.items()):
        results['{}/{}'.format(kind, name)] = digest(values)


def digest(values):
    """Return the norm and the sum of an array, and up to `SAMPLES` values at even distances.

    Returns
    -------
    numpy.ndarray
        float64 (2 + samples,).
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    sample = flat[:: -(-flat.size // SAMPLES)]
    return np.concatenate([[np.sqrt((flat**2).sum()), flat.sum()], sample])


def compare(case, expected, found):
    """Return the deviation of every result of a case, except those that the case leaves out.

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
        A result is missing, was not recorded or has another shape.
    """
    problems = ['{} is missing'.format(key) for key in expected if key not in found]
    problems += ['{} was not recorded'.format(key) for key in found if key not in expected]
    problems += [
        '{} is {}, recorded was {}'.format(key, found[key].shape, expected[key].shape)
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    if problems:
        raise NeonRnnError(
            'case {}: the recorded results are of another network: {}.'.format(
                case.name, first_of(problems, most=4)
            )
        )
    deviations = []
    for key, values in expected.items():
        if key in case.left_out:
            continue
        kind, _, name = key.partition('/')
        if kind == 'last step' and name.endswith(OFFSETS):
            kind = 'last offset'
        difference = np.abs(found[key] - values)
        if kind == 'cost':
            deviations += [
                Deviation(case, kind if step <= FIRST_COSTS else 'later cost', str(step), value)
                for step, value in enumerate(difference / np.abs(values), 1)
            ]
        elif kind == 'probability':
            deviations.append(Deviation(case, kind, '', difference.max()))
        else:
            deviations.append(Deviation(case, kind, name, _of_digest(difference, values)))
    return [deviation._replace(value=float(deviation.value)) for deviation in deviations]


def _of_digest(difference, expected):
    """Return the largest of three deviations: of the norm, of the sum, of the values kept.

    Parameters
    ----------
    difference : numpy.ndarray
        Absolute differences between two digests.
    expected : numpy.ndarray
        The recorded digest.
    """
    scale = np.abs(expected[2:]).max()
    norm = expected[0]
    if norm == 0 or scale == 0:  # as biases before the first step
        return difference.max()
    # If the rounding errors of n values were independent, the error of their sum would be about as
    # large as the rounding error of their norm. They are not quite independent. So the limit for
    # the sum is up to 16 times as large: the root of the number of values that are kept.
    return max(
        difference[2:].max() / scale,
        difference[0] / norm,
        difference[1] / (norm * np.sqrt(len(expected))),
    )


def tolerance(deviation):
    """Return the limit for a deviation."""
    return deviation.case.tolerances[deviation.kind]


def beyond(deviations):
    """Return the deviations above their tolerance; NaN counts as above."""
    return [deviation for deviation in deviations if not deviation.value <= tolerance(deviation)]


def path_of(case):
    """Return the path of the recorded results of a case."""
    return os.path.join(
        FOLDER,
        ''.join(
            letter if letter.isalnum() else '-' for letter in case.name.lower().replace(', ', '-')
        )
        + '.npz',
    )


def save(path, results, provenance):
    """Write recorded results: the arrays, and their provenance as JSON."""
    arrays = {key.replace('/', '|'): values for key, values in results.items()}
    text = json.dumps({'order': list(results), 'provenance': provenance}, sort_keys=True)
    with atomic_file(path) as file:
        np.savez_compressed(
            file, meta=np.frombuffer(text.encode('utf-8'), dtype=np.uint8), **arrays
        )


def load(path):
    """Read results that `save` wrote.

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
            results = collections.OrderedDict(
                (key, archive[key.replace('/', '|')]) for key in meta['order']
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NeonRnnError(
            '{}: the recorded results cannot be read ({}). They come with the package; '
            'tests/fixtures/record_neon.py makes them where neon is installed.'.format(path, error)
        )
    return results, meta['provenance']
