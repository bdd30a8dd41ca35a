"""Open a trained run to classify with it, and evaluate it on a data set."""

import collections
import os

import numpy as np
from tqdm import tqdm

from neon_rnn import engines, models
from neon_rnn.data import class_names, dataset
from neon_rnn.runs import checkpoint, evaluation, records
from neon_rnn.runs.run_id import run_folder
from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError, UsageError, naming

#: A started engine, the model with its trained weights, the run's record, the epoch of the weights.
Trained = collections.namedtuple('Trained', 'nn model record epoch')

#: The figures of a run on a data set as `evaluation.summarise` returns them; the run; and the data:
#: folder, file, sha256 of the files and kind; the class names of the run, in the order of the
#: figures, and those of the data, which can be other words; `seen` counts the images that the run
#: was trained on, None if that cannot be told; the part that was measured, and of each of its
#: images the probabilities (count, classes) and the label (count,), as an index of `class_names`.
Evaluation = collections.namedtuple(
    'Evaluation',
    'figures run_id data path sha256 kind class_names data_class_names seen '
    'part probabilities labels',
)


def checkpoint_path(folder):
    """Return the path at which a run keeps its checkpoint."""
    return os.path.join(str(folder), 'checkpoint.npz')


def best_path(folder):
    """Return the path at which a run that keeps its best epoch has the weights of that epoch."""
    return os.path.join(str(folder), 'checkpoint_best.npz')


def load_best(run):
    """Read the checkpoint of a run's best epoch by the validation part.

    Parameters
    ----------
    run : runs.records.Run

    Returns
    -------
    checkpoint.Checkpoint

    Raises
    ------
    NeonRnnError
        It is missing, cannot be read, or is of another epoch.
    """
    path, epoch = best_path(run.folder), records.best_epoch(run.record)
    saved = checkpoint.load(path)
    if saved.meta.get('epoch') != epoch or saved.meta.get('run_id') != run.record['run_id']:
        raise NeonRnnError(
            '{}: is of epoch {}, but the best epoch by the record is {}. Train the run '
            'again.'.format(path, saved.meta.get('epoch'), epoch)
        )
    return saved


def kept_checkpoint(folder):
    """Return the path of a run's checkpoint.

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


def result_checkpoint(run):
    """Read the weights that a run's result was measured with: the last, or the best kept ones.

    Returns
    -------
    path : str
    saved : checkpoint.Checkpoint

    Raises
    ------
    UsageError
        The run has no checkpoint.
    NeonRnnError
        It cannot be read.
    """
    path = kept_checkpoint(run.folder)
    if records.best_epoch(run.record) is None:
        return path, checkpoint.load(path)
    return best_path(run.folder), load_best(run)


def load_run(folder, engine=None, backend='cpu', batch_size=None, precision='float32'):
    """Start an engine with the trained weights of a run: the last, or the best if it kept them.

    Parameters
    ----------
    folder : str
        The run's folder, or its checkpoint.npz.
    engine : str, optional
        Default: the engine it was trained with if that is installed, else the other.
    backend : str
        As ``-b``.
    batch_size : int, optional
        Images at a time; default: as trained.
    precision : str
        To compute in, whatever the precision of the training was.

    Returns
    -------
    Trained

    Raises
    ------
    UsageError
        The folder holds no run, or no checkpoint; the batch size is below 1; the engine, backend or
        precision is not here.
    NeonRnnError
        The record or the checkpoint cannot be read, or they do not belong together.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError('-z {}: has to be at least 1.'.format(batch_size))
    run = records.Run.open(run_folder(folder))
    record = run.record
    path, saved = result_checkpoint(run)
    if engine is None:
        engine = record['engine'] if engines.installed(record['engine']) else engines.default()
    nn = engines.load(engine)
    size = batch_size or record['hyperparameters']['batch_size']
    nn.start(backend, size, record['seed'], precision=precision)
    shape = tuple(record['dataset']['shape'])
    model, cost = models.build(record['model'], nn, shape, **record['options'])
    model.initialize(shape, cost)
    with naming(path):
        nn.set_weights(model, saved.weights)
    return Trained(nn, model, record, saved.meta.get('epoch'))


def predict_part(nn, model, part, batch_size, progress=False):
    """Return the probabilities of every image of a data set part, in the order of the file.

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


def evaluate(
    folder,
    data=None,
    part='test',
    engine=None,
    backend='cpu',
    batch_size=None,
    precision='float32',
    progress=False,
):
    """Evaluate a run on a part of a data set.

    Parameters
    ----------
    folder : str
        The run's folder.
    data : str, optional
        A data set folder; default: the one that the run was trained on.
    part : str
        ``'test'``, ``'train'`` or ``'val'``.
    engine, backend, batch_size, precision
        As `load_run` takes them.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Evaluation

    Raises
    ------
    UsageError
        The data set has no such part, or its images or classes are not those of the training; and
        the errors of `load_run` and `dataset.open_dataset`.
    """
    trained = load_run(folder, engine, backend, batch_size, precision)
    expected = trained.record['dataset']
    opened = dataset.open_dataset(data or paths.from_recorded(expected['folder']))
    images = opened.parts.get(part)
    if images is None:
        raise UsageError(
            '{}: has no part {}; it has {}.'.format(opened.folder, part, ', '.join(opened.parts))
        )
    if list(images.shape) != expected['shape']:
        raise UsageError(
            '{}: its images are {}, the run was trained on {}; import the data set with that '
            'size.'.format(images.path, images.shape, tuple(expected['shape']))
        )
    places = class_names.positions(expected['class_names'], opened.class_names)
    if places is None:
        raise UsageError(
            '{}: its classes are {}, those of the run {}.'.format(
                opened.folder, ', '.join(opened.class_names), ', '.join(expected['class_names'])
            )
        )
    size = batch_size or trained.record['hyperparameters']['batch_size']
    probabilities = predict_part(trained.nn, trained.model, images, size, progress)
    labels = np.asarray(places)[images.labels]
    return Evaluation(
        evaluation.summarise(probabilities, labels, expected['class_names']),
        trained.record['run_id'],
        opened.folder,
        images.path,
        opened.sha256(),
        opened.description['kind'],
        expected['class_names'],
        opened.class_names,
        _seen(expected, opened, part, images),
        images,
        probabilities,
        labels,
    )


def _seen(expected, opened, part, images):
    """Return how many images the run was trained on; None if its data set is not there any more."""
    if opened.sha256() == expected['sha256']:
        return images.count if part == 'train' else 0
    try:
        trained_on = dataset.open_dataset(paths.from_recorded(expected['folder']))
    except NeonRnnError:
        return None
    if trained_on.sha256() != expected['sha256'] or trained_on.shape != images.shape:
        return None
    known = set(trained_on.train.picture_hashes())
    return sum(1 for picture in images.picture_hashes() if picture in known)
