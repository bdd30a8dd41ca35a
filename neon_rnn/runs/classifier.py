"""A trained run as a function from pixels to probabilities, with what it needs to know of both."""

import collections

from neon_rnn.data import images
from neon_rnn.runs import trained_run

#: `predict` takes uint8 (n, C*H*W) and returns float32 (n, classes); `class_names` are the classes;
#: `preprocessing` turns photographs into such pixels; `kind` is that of the training's data;
#: `source` names what predicts: the run and the epoch of its weights.
Classifier = collections.namedtuple('Classifier', 'predict class_names preprocessing kind source')


def of_run(folder, engine=None, backend='cpu', batch_size=None, precision='float32'):
    """Open a trained run to classify with it.

    Parameters
    ----------
    folder, engine, backend, batch_size, precision
        As `trained_run.load_run` takes them, which also raises its errors.

    Returns
    -------
    Classifier
    """
    trained = trained_run.load_run(folder, engine, backend, batch_size, precision)
    record = trained.record
    return Classifier(
        lambda pixels: trained.nn.predict(trained.model, pixels),
        record['dataset']['class_names'],
        preprocessing(record['dataset']),
        record['dataset']['kind'],
        '{}, epoch {}'.format(record['run_id'], trained.epoch),
    )


def preprocessing(recorded):
    """Return the preprocessing of a training's photographs; without one, the default of that size.

    Parameters
    ----------
    recorded : dict
        The part `dataset` of a run record.

    Returns
    -------
    images.Preprocessing
    """
    if recorded.get('preprocessing'):
        return images.Preprocessing.of(recorded['preprocessing'])
    _, height, width = recorded['shape']
    return images.Preprocessing(height=height, width=width)
