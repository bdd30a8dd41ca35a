"""A network to predict arrays with, untrained or of a trained run."""

import numpy as np

from neon_rnn import engines, models, published
from neon_rnn.data import images
from neon_rnn.runs import classifier, trained_run
from neon_rnn.support.errors import UsageError

#: The network whose backend the engine has now: each engine has one backend at a time.
_current = None


class Network:
    """A network on a started engine, untrained from `build_model` or trained from `open_run`.

    It works until another one is built, opened, trained or evaluated, since that starts the engine
    anew.

    Attributes
    ----------
    nn : module
        The engine; docs/architecture.md lists its calls.
    model : Model
        The engine's model; ``model.layers`` are its layers.
    shape : tuple of int
        (C, H, W) of an image.
    class_names : list of str or None
        In the order of the probabilities; None if the network is untrained.
    preprocessing : data.images.Preprocessing
        How `load_image` makes pixels of a photograph.
    """

    def __init__(self, nn, model, shape, class_names, preprocessing):
        self.nn, self.model = nn, model
        self.shape, self.class_names = tuple(shape), class_names
        self.preprocessing = preprocessing
        _set_current(self)

    def predict(self, pixels):
        """Compute the probabilities of images.

        Parameters
        ----------
        pixels : array, uint8, (n, C, H, W) or (n, C*H*W)
            Raw values 0 to 255, RGB.

        Returns
        -------
        numpy.ndarray
            float32 (n, classes).

        Raises
        ------
        UsageError
            Type or shape are others, or the engine has been started anew since.
        """
        return self.nn.predict(self.model, self.rows(pixels))

    def rows(self, pixels):
        """Return images as the engine takes them, uint8 (n, C*H*W), if they fit the network.

        Raises
        ------
        UsageError
            As for `predict`.
        """
        self._check_current()
        pixels = np.asarray(pixels)
        flat = int(np.prod(self.shape))
        if pixels.dtype != np.uint8 or pixels.shape[1:] not in (self.shape, (flat,)):
            raise UsageError(
                'the images are {} {}; they have to be uint8 (n, {}) or (n, {}).'.format(
                    pixels.dtype, pixels.shape, ', '.join(map(str, self.shape)), flat
                )
            )
        if not len(pixels):
            raise UsageError('there are no images to predict.')
        return pixels.reshape(len(pixels), flat)

    def load_image(self, path):
        """Decode a photograph as those of the training were.

        Returns
        -------
        numpy.ndarray
            uint8 (3, H, W), RGB.

        Raises
        ------
        NeonRnnError
            The file is not a usable image.
        """
        return images.load(path, self.preprocessing)

    def weights(self):
        """Return name -> float32 array, in neon's names and layout (docs/architecture.md)."""
        self._check_current()
        return self.nn.get_weights(self.model)

    def _check_current(self):
        if _current is not self:
            raise UsageError(
                'another network was built, opened, trained or evaluated since, and the engine '
                'serves one at a time; build or open this one again.'
            )


def build_model(
    model,
    shape,
    options=None,
    engine=None,
    backend='cpu',
    batch_size=published.BATCH_SIZE,
    seed=0,
    precision='float32',
):
    """Build an untrained network.

    Parameters
    ----------
    model : str
        A name of docs/models.md, such as ``'rnn'``.
    shape : tuple of int
        (C, H, W) of an image.
    options : dict, optional
        Further arguments of the network's function, such as ``{'rnn': 'bigru'}``.
    engine : str, optional
        ``'torch'`` or ``'neon'``; default: neon where it is installed, else torch.
    backend : str
        ``'cpu'`` or ``'gpu'``; ``'mkl'`` for neon.
    batch_size : int
        Images that `Network.predict` computes at a time.
    seed : int
        Of the weights: the same as a training with that seed begins with.
    precision : str
        ``'float32'`` or another one that the engine has.

    Returns
    -------
    Network

    Raises
    ------
    UsageError
        There is no such network, engine, backend or precision, or the shape does not fit it.
    """
    models.builder(model)
    nn = engines.load(engine or engines.default())
    leave_engine()
    nn.start(backend, batch_size, seed, precision=precision)
    built, cost = models.build(model, nn, shape, **(options or {}))
    built.initialize(tuple(shape), cost)
    return Network(nn, built, shape, None, classifier.preprocessing({'shape': shape}))


def open_run(run, engine=None, backend='cpu', batch_size=None, precision='float32'):
    """Open a trained run to predict with it.

    Parameters
    ----------
    run : runs.records.Run, str or os.PathLike
        A run, or its folder.
    engine, backend, batch_size, precision
        Default: as trained, on the processor, in float32.

    Returns
    -------
    Network

    Raises
    ------
    UsageError
        The folder holds no run or no checkpoint, or the engine or backend is not here.
    NeonRnnError
        The record or the checkpoint cannot be read.
    """
    leave_engine()
    trained = trained_run.load_run(folder_of(run), engine, backend, batch_size, precision)
    recorded = trained.record['dataset']
    return Network(
        trained.nn,
        trained.model,
        recorded['shape'],
        recorded['class_names'],
        classifier.preprocessing(recorded),
    )


def leave_engine():
    """Say that the engine is started anew: no network that was opened before can predict now."""
    _set_current(None)


def folder_of(opened):
    """Return the folder of an open run or data set, or the folder that is given itself."""
    return str(getattr(opened, 'folder', opened))


def _set_current(network):
    global _current
    _current = network
