"""The curves of a training for TensorBoard, written while it runs."""

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import make_folder, write_error


@contextlib.contextmanager
def curves(folder: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a callback for `training.train` that writes each epoch into a folder.

    Every run gets a folder of its own in it, so TensorBoard shows several side by side. A step is a
    minibatch, in all curves. A resumed run goes on in its folder; what it trains again is replaced.

    Parameters
    ----------
    folder
        Is made if it is not there.

    Raises
    ------
    UsageError
        A package is missing; says how to install it.
    NeonRnnError
        The folder cannot be written.
    """
    summary_writer = _summary_writer()
    make_folder(folder)
    writer = None

    def write(epoch: dict[str, Any]) -> None:
        nonlocal writer
        minibatches = len(epoch['costs'])
        before = (epoch['epoch'] - 1) * minibatches
        own = os.path.join(folder, epoch['run_id'])
        try:
            if writer is None:
                writer = summary_writer(own, purge_step=before + 1)
            _write_epoch(writer, epoch, before)
            writer.flush()
        except OSError as error:
            raise write_error(own, error) from error

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _summary_writer() -> Any:
    """Return PyTorch's class that writes event files.

    Raises
    ------
    UsageError
        It cannot be imported.
    """
    try:
        importlib.import_module('tensorboard')
        return importlib.import_module('torch.utils.tensorboard').SummaryWriter
    except ImportError as error:
        raise UsageError(
            f'--tensorboard needs packages that are not installed ({error}): pip install '
            "'.[tensorboard]' in the project folder, into the Python that runs neon_rnn "
            "('./run.sh': .venv/bin/pip)."
        ) from error


def _write_epoch(writer: Any, epoch: dict[str, Any], before: int) -> None:
    """Write the scalars and the picture of an epoch that has `before` minibatches before it."""
    for step, cost in enumerate(epoch['costs'], before + 1):
        writer.add_scalar('cost/minibatch', cost, step)
    last = before + len(epoch['costs'])
    scalars = {
        'cost/epoch': epoch['cost'],
        'accuracy/test': epoch['accuracy'],
        'accuracy/validation': epoch['validation'],
        'speed/images per second': epoch['images_per_second'],
    }
    figures = epoch['figures']
    if figures:
        for name, of_class in figures['per_class'].items():
            scalars[f'class/{name}'] = of_class['accuracy']
        writer.add_image('confusion', _confusion_picture(figures), last, dataformats='HWC')
    for name, value in scalars.items():
        if value is not None:
            writer.add_scalar(name, value, last)


def _confusion_picture(figures: dict[str, Any]) -> np.ndarray:
    """Return the plot of ``evaluate --png`` as uint8 (H, W, 3)."""
    # Loaded here: matplotlib is slow to load.
    from neon_rnn.report import drawing, matrices

    with drawing.style():
        names = list(figures['per_class'])
        png = drawing.png(matrices.confusion_matrix(figures['confusion'], names, ''))
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))
