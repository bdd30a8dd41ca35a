"""The interface for programs: open data, build a network, train, evaluate, predict.

Each name is also one of ``neon_rnn`` (docs/api.md).
"""

from neon_rnn import engines, models, published, training
from neon_rnn.data.dataset import open_dataset
from neon_rnn.runs import trained_run
from neon_rnn.runs.network import Network, build_model, folder_of, leave_engine, open_run
from neon_rnn.support.errors import UsageError
from neon_rnn.weights import pretrained as pretrained_weights

__all__ = [
    'Network',
    'build_model',
    'evaluate',
    'export_run',
    'make_demo',
    'open_dataset',
    'open_run',
    'resume',
    'sweep_norms',
    'train',
]


def make_demo(folder, train=1024, test=256, size=128, seed=0, workers=1, val=0):
    """Make a data set of synthetic portraits, to try the software without photographs.

    Parameters
    ----------
    folder : str or os.PathLike
        Is replaced if it holds a data set.
    train, test, val : int
        Portraits in each part; without `val` there is no validation part.
    size : int
        Height and width in pixels.
    seed : int
        Another one makes other portraits.
    workers : int
        Processes that draw.

    Returns
    -------
    data.dataset.Dataset

    Raises
    ------
    UsageError
        A number is out of range, or the folder holds other files.
    """
    from neon_rnn.ingest.sources import demo  # modern Python, which the container does not have

    demo.make(str(folder), train, test, size, seed, workers, val)
    return open_dataset(folder)


def train(data, out, model='rnn', epochs=None, callback=None, pretrained=None, **settings):
    """Train a network, and write a run folder as ``neon_rnn train`` does.

    Parameters
    ----------
    data : data.dataset.Dataset, str or os.PathLike
        A data set, or its folder.
    out : str or os.PathLike
        The folder in which the run gets a folder of its own.
    model : str
        As `build_model` takes it.
    epochs : int, optional
        Default: as published for the network.
    callback : callable, optional
        Is called with a dict after each epoch, see `training.loop.train`.
    pretrained : str or os.PathLike, optional
        A file of weights to start from, or ``'none'``, for the transfer learning networks.
    settings
        Further fields of `training.Settings`, such as `seed`, `batch_size`, `engine`, `options` or
        `keep_best`. Those that are not given are as for the command.

    Returns
    -------
    runs.records.Run
        `folder` is the path of the run, `record` what ``record.json`` holds.

    Raises
    ------
    TypeError
        There is no such setting.
    UsageError
        The settings do not fit each other, the data or the machine.
    NeonRnnError
        The training failed; the record says so.
    """
    models.builder(model)
    epochs = training.epochs_of(model, epochs)
    source = pretrained_weights.for_training(model, pretrained and str(pretrained))
    options = dict(settings.pop('options', None) or {})
    if source:
        options.update(source.options, pretrained=source.description)
    chosen = training.Settings.of(
        model=model,
        data=folder_of(data),
        epochs=epochs,
        options=options,
        engine=settings.pop('engine', None) or engines.default(),
        backend=settings.pop('backend', 'cpu'),
        batch_size=settings.pop('batch_size', published.BATCH_SIZE),
        seed=settings.pop('seed', 0),
        **settings,
    )
    leave_engine()
    return training.train(chosen, str(out), source, callback=callback)


def resume(run, epochs=None, callback=None):
    """Go on with an interrupted training, or train a finished one for longer.

    Parameters
    ----------
    run : runs.records.Run, str or os.PathLike
        A run, or its folder.
    epochs : int, optional
        Train to this many epochs in all; default: as first asked for.
    callback : callable, optional
        As `train` takes it.

    Returns
    -------
    runs.records.Run

    Raises
    ------
    UsageError
        Nothing is left to train, or the data or the engine are not those of the run.
    NeonRnnError
        The training failed; the record says so.
    """
    leave_engine()
    return training.resume(folder_of(run), epochs, callback=callback)


def evaluate(
    run, data=None, part='test', engine=None, backend='cpu', batch_size=None, precision='float32'
):
    """Measure a trained run on a part of a data set.

    Parameters
    ----------
    run : runs.records.Run, str or os.PathLike
        A run, or its folder.
    data : data.dataset.Dataset, str or os.PathLike, optional
        Default: the data set that the run was trained on.
    part : str
        ``'test'``, ``'train'`` or ``'val'``.
    engine, backend, batch_size, precision
        Default: as trained, on the processor, in float32.

    Returns
    -------
    runs.trained_run.Evaluation
        `figures` is a dict: accuracy, interval, confusion and more, see `evaluation.summarise`.

    Raises
    ------
    UsageError
        The run has no checkpoint, or the data set no such part, or other images or classes.
    """
    leave_engine()
    where = None if data is None else folder_of(data)
    return trained_run.evaluate(folder_of(run), where, part, engine, backend, batch_size, precision)


def export_run(run, format, out=None):
    """Write a trained run in the format of other programs, and compare the file with the run.

    Parameters
    ----------
    run : runs.records.Run, str or os.PathLike
        A run, or its folder.
    format : str
        ``'onnx'``, ``'safetensors'`` or ``'torch'``: a state dict, and a Python file that loads it
        with PyTorch alone.
    out : str or os.PathLike, optional
        The file to write; default: the name of the run, in the working directory.

    Returns
    -------
    export.Export
        `files` are the paths, `difference` is the largest difference of a probability.

    Raises
    ------
    UsageError
        There is no such format, or its packages are not installed.
    NeonRnnError
        The file cannot be written, or it differs from the run; then it is removed.
    """
    from neon_rnn import export  # modern Python, which the container does not have

    leave_engine()
    return export.export_run(folder_of(run), format, None if out is None else str(out))


def sweep_norms(network, pixels):
    """Return what the sweeps of SpatialRNN carry while a network predicts an image.

    Parameters
    ----------
    network : Network
        On the torch engine.
    pixels : array, uint8, (C, H, W) or (C*H*W,)
        One image.

    Returns
    -------
    list of explain.sweeps.Sweep
        In the order in which the sweeps run. `layer` is the place of the SpatialRNN in the network,
        `direction` is ``'down'``, ``'up'``, ``'right'`` or ``'left'``, and `norms` (rows, columns)
        holds the Euclidean norm of the state at each block. Empty for a network without SpatialRNN.

    Raises
    ------
    UsageError
        The network is on the neon engine, or as for `Network.predict`.
    """
    if network.nn.__name__ != 'neon_rnn.engines.torch':
        raise UsageError("sweep_norms: the network is not on the engine 'torch'; open it there.")
    from neon_rnn.explain import sweeps  # modern Python, which the container does not have

    (row,) = network.rows([pixels])
    return sweeps.sweep_norms(network.nn, network.model, row)
