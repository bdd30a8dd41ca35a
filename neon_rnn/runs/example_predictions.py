"""Example predictions of a run on synthetic pictures, for the page: ``examples.json``.

The file lies in the folder of the run. Photographs of people are never written.
"""

import base64
import binascii
import io
import os

import numpy as np
from PIL import Image

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import read_json, write_json

NAME = 'examples.json'
#: Limits of the file: its bytes, and its pictures. `write` keeps 8 pictures of a few kB.
LARGEST, MOST = 1 << 20, 32
_PNG = b'\x89PNG\r\n\x1a\n'
#: Longest side of a thumbnail, in pixels.
_SIDE = 96
#: PIL.Image.LANCZOS in every version of Pillow; its stubs lack the name.
_LANCZOS = 1
_FIELDS = ('png_base64', 'label', 'prediction', 'probability')


def write(folder, kind, inputs, shape, labels, probabilities, class_names, limit=8):
    """Write some examples of a test set, half of them mistakes if there are enough.

    They are in the order of the set. The pictures are thumbnails of 64 colours, a few kB each.

    Parameters
    ----------
    folder : str or os.PathLike
        The run's folder.
    kind : str
        The kind of the data set. Only ``'synthetic'`` is accepted.
    inputs : array, uint8, (count, C*H*W)
        The pictures, channels RGB.
    shape : (C, H, W)
        With C of 3, or 1 for grey.
    labels : array, int, (count,)
    probabilities : array, float, (count, classes)
    class_names : list of str
    limit : int
        Greatest number of examples.

    Raises
    ------
    UsageError
        The data are photographs.
    NeonRnnError
        The file cannot be written.
    """
    if kind != 'synthetic':
        raise UsageError(
            'example pictures are kept for synthetic data only, not for {}.'.format(kind)
        )
    predicted = np.asarray(probabilities).argmax(axis=1)
    wrong, right = np.flatnonzero(predicted != labels), np.flatnonzero(predicted == labels)
    mistakes = min(len(wrong), max(limit // 2, limit - len(right)))
    chosen = np.sort(np.concatenate([wrong[:mistakes], right[: limit - mistakes]]))
    examples = []
    for index in chosen:
        picture = np.ascontiguousarray(np.asarray(inputs[index]).reshape(shape).transpose(1, 2, 0))
        examples.append(
            {
                'png_base64': base64.b64encode(_thumbnail(picture)).decode('ascii'),
                'label': class_names[int(labels[index])],
                'prediction': class_names[int(predicted[index])],
                'probability': round(float(probabilities[index][predicted[index]]), 4),
            }
        )
    write_json(os.path.join(str(folder), NAME), examples)


def _thumbnail(picture):
    """Return a picture, uint8 (H, W, 3) or (H, W, 1), as a small PNG file."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((_SIDE, _SIDE), _LANCZOS)  # type: ignore[arg-type]
    file = io.BytesIO()
    image.quantize(64).save(file, 'PNG', optimize=True)
    return file.getvalue()


def read(folder):
    """Read the examples of a run.

    Returns
    -------
    list of dict
        `png_base64`, `label`, `prediction`, `probability` of the prediction; empty if the run has
        no file of examples.

    Raises
    ------
    NeonRnnError
        The file is not what `write` writes, or larger than it can be; names the file.
    """
    path = os.path.join(str(folder), NAME)
    if not os.path.lexists(path):
        return []
    if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
        raise NeonRnnError(
            '{}: is not a file of examples (a regular file of at most {} MiB is expected).'.format(
                path, LARGEST >> 20
            )
        )
    examples = read_json(path)
    if not isinstance(examples, list):
        raise NeonRnnError('{}: is not a list of examples.'.format(path))
    if len(examples) > MOST:
        raise NeonRnnError(
            '{}: holds {} examples; at most {} are shown.'.format(path, len(examples), MOST)
        )
    for number, example in enumerate(examples, 1):
        if not _is_example(example):
            raise NeonRnnError(
                '{}: example {} is not a picture with label, prediction and probability.'.format(
                    path, number
                )
            )
    return examples


def _is_example(value):
    """Return True for what `write` writes of one picture."""
    return (
        isinstance(value, dict)
        and set(value) == set(_FIELDS)
        and all(
            isinstance(value[name], str) and len(value[name]) <= 100 and value[name].isprintable()
            for name in ('label', 'prediction')
        )
        and type(value['probability']) in (int, float)
        and 0 <= value['probability'] <= 1
        and _is_png(value['png_base64'])
    )


def _is_png(text):
    """Return True for a PNG file in base64."""
    try:
        return base64.b64decode(text, validate=True).startswith(_PNG)
    except (TypeError, ValueError, binascii.Error):
        return False
