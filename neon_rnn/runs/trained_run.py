"""A trained run, ready to classify: what `evaluate` and `predict` share with the training loop."""

import collections
import os

import numpy as np
from tqdm import tqdm

from neon_rnn import engines, models
from neon_rnn.runs import checkpoint, records
from neon_rnn.support.errors import UsageError, naming

#: A started engine, the model with its trained weights, the run's record.
Trained = collections.namedtuple('Trained', 'nn model record')


def checkpoint_path(folder):
    """Where a run keeps its checkpoint."""
    return os.path.join(str(folder), 'checkpoint.npz')


def kept_checkpoint(folder):
    """The path of a run's checkpoint.

    Raises
    ------
    UsageError
        There is none.
    """
    path = checkpoint_path(folder)
    if not os.path.isfile(path):
        raise UsageError(
            '{}: has no checkpoint.npz (checkpoints are not kept in the repository); train it '
            'again.'.format(folder)
        )
    return path


def load_run(folder, engine=None, backend='cpu', batch_size=None):
    """Start an engine with the trained weights of a run.

    Parameters
    ----------
    folder : str
        The run's folder.
    engine : str, optional
        Default: the engine it was trained with if that is installed, else the other.
    backend : str
        As ``-b``; computed in float32, whatever the precision of the training was.
    batch_size : int, optional
        Images at a time; default: as trained.

    Returns
    -------
    Trained

    Raises
    ------
    UsageError
        The folder holds no run, or no checkpoint; the batch size is below 1; the engine or backend is not here.
    NeonRnnError
        The record or the checkpoint cannot be read, or they do not belong together.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError('-z {}: has to be at least 1.'.format(batch_size))
    record = records.Run.open(folder).record
    path = kept_checkpoint(folder)
    saved = checkpoint.load(path)
    if engine is None:
        engine = record['engine'] if engines.installed(record['engine']) else engines.default()
    nn = engines.load(engine)
    nn.start(backend, batch_size or record['hyperparameters']['batch_size'], record['seed'])
    shape = tuple(record['dataset']['shape'])
    model, cost = models.build(record['model'], nn, shape, **record['options'])
    model.initialize(shape, cost)
    with naming(path):
        nn.set_weights(model, saved.weights)
    return Trained(nn, model, record)


def predict_part(nn, model, part, batch_size, progress=False):
    """Probabilities of every image of a data set part, in the file's order.

    Returns
    -------
    numpy.ndarray
        float32 (count, classes).
    """
    found = []
    with tqdm(
        total=part.count,
        desc='evaluating',
        unit='img',
        leave=False,
        disable=None if progress else True,
    ) as bar:
        for first in range(0, part.count, batch_size):
            indices = np.arange(first, min(first + batch_size, part.count))
            found.append(nn.predict(model, part.read(indices)))
            bar.update(len(indices))
    return np.concatenate(found)
