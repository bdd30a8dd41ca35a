"""Export a run: write the file, open it again, and compare its probabilities with the run's."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy
import torch

from neon_rnn.data.dataset import open_dataset
from neon_rnn.export import onnx_file, standalone
from neon_rnn.export.network import Network
from neon_rnn.runs import trained_run
from neon_rnn.runs.classifier import preprocessing
from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import atomic_file, check_writable, write_text

#: Name of a format -> the ending of its file.
FORMATS = {'onnx': '.onnx', 'safetensors': '.safetensors', 'torch': '.pt'}
#: The largest difference of a probability that passes.
TOLERANCE = 1e-4
#: So many pictures are compared.
COMPARED = 16

Predict = Callable[[numpy.ndarray], numpy.ndarray]


@dataclasses.dataclass(frozen=True)
class Export:
    """What was written, and how it compares.

    Attributes
    ----------
    files : list of str
    difference : float
        The largest difference between a probability of the file and one of the run.
    pictures : int
        How many pictures were compared.
    """

    files: list[str]
    difference: float
    pictures: int


def export_run(folder: str, format: str, out: str | None = None) -> Export:
    """Write a trained run in another format.

    Parameters
    ----------
    folder : str
        The run's folder.
    format : str
        One of `FORMATS`. ``'onnx'``: the network, with its preprocessing as metadata.
        ``'safetensors'``: neon's weights by their names. ``'torch'``: a state dict, and beside it a
        Python file that loads it with PyTorch alone.
    out : str, optional
        The file to write; default: the name of the run, in the working directory.

    Returns
    -------
    Export

    Raises
    ------
    UsageError
        There is no such format, its packages are not installed, or the network has a layer that it
        cannot hold; and the errors of `trained_run.load_run`.
    NeonRnnError
        The file cannot be written, or differs from the run by more than `TOLERANCE`. It is removed
        then.
    """
    if format not in FORMATS:
        raise UsageError(f'there is no format {format!r}; the formats are {", ".join(FORMATS)}.')
    if format == 'onnx':
        onnx_file.need('onnx', 'onnxscript', 'onnxruntime')
    trained = trained_run.load_run(folder, engine='torch')
    record = trained.record
    out = out or record['run_id'].replace('-', '_') + FORMATS[format]
    if not out.endswith(FORMATS[format]):
        raise UsageError(f'{out}: the name has to end in {FORMATS[format]}.')
    check_writable(out)
    shape = tuple(record['dataset']['shape'])
    pictures = _pictures(record, shape)
    expected = trained.nn.predict(trained.model, pictures)
    about = {
        'class_names': record['dataset']['class_names'],
        'epoch': trained.epoch,
        'kind': record['dataset']['kind'],
        'model': record['model'],
        'pixels': 'uint8, RGB, (n, C, H, W)',
        'preprocessing': preprocessing(record['dataset']).describe(),
        'run_id': record['run_id'],
        'shape': list(shape),
    }
    files, predict = _WRITERS[format](out, trained, about)
    difference = float(numpy.abs(predict(pictures) - expected).max())
    if not difference <= TOLERANCE:
        for path in files:
            os.unlink(path)
        raise NeonRnnError(
            f'{out}: its probabilities differ from those of the run by {difference:.1e}, more than '
            f'{TOLERANCE:.0e}; the file was removed. Please report it.'
        )
    return Export(files, difference, len(pictures))


def _pictures(record: dict[str, Any], shape: tuple[int, ...]) -> numpy.ndarray:
    """Return pictures to compare: of the test part if it is at hand, and random ones."""
    random = numpy.random.RandomState(0)
    noise = random.randint(0, 256, (COMPARED, math.prod(shape))).astype(numpy.uint8)
    try:
        test = open_dataset(paths.from_recorded(record['dataset']['folder'])).test
    except NeonRnnError:
        return noise
    if test.shape != shape:
        return noise
    return numpy.concatenate([test.read(numpy.arange(min(COMPARED, test.count))), noise])


def _onnx(out: str, trained: Any, about: dict[str, Any]) -> tuple[list[str], Predict]:
    onnx_file.write(out, Network(trained.model), tuple(about['shape']), about)
    return [out], onnx_file.open_classifier(out).predict


def _safetensors(out: str, trained: Any, about: dict[str, Any]) -> tuple[list[str], Predict]:
    """Write neon's weights, with the description as the metadata ``neon_rnn``."""
    from safetensors import numpy as safetensors

    weights = {
        name: numpy.ascontiguousarray(values)
        for name, values in trained.nn.get_weights(trained.model).items()
    }
    data = safetensors.save(weights, {onnx_file.KEY: json.dumps(about, sort_keys=True)})
    with atomic_file(out) as file:
        file.write(data)

    def predict(pictures: numpy.ndarray) -> numpy.ndarray:
        found = safetensors.load_file(out)
        kept = {name: numpy.zeros_like(values) for name, values in weights.items()}
        trained.nn.set_weights(trained.model, kept)  # so that only the file can be right
        trained.nn.set_weights(trained.model, {name: found[name] for name in weights})
        return trained.nn.predict(trained.model, pictures)

    return [out], predict


def _torch(out: str, trained: Any, about: dict[str, Any]) -> tuple[list[str], Predict]:
    """Write the state dict, and the model file beside it."""
    code = out[: -len(FORMATS['torch'])] + '.py'
    check_writable(code)
    described = about['preprocessing']
    text, state = standalone.write_model(
        trained.model.layers,
        {
            'run_id': about['run_id'],
            'weights': os.path.basename(out),
            'shape': ', '.join(map(str, about['shape'])),
            'classes': len(about['class_names']),
            'names': ', '.join(about['class_names']),
            'preprocessing': ', '.join(f'{key} {value}' for key, value in described.items()),
        },
    )
    stream = io.BytesIO()
    torch.save(state, stream)
    with atomic_file(out) as file:
        file.write(stream.getvalue())
    write_text(code, text)
    spec = importlib.util.spec_from_file_location('exported_model', code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load(out)

    def predict(pictures: numpy.ndarray) -> numpy.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(pictures.reshape(-1, *about['shape']))).numpy()

    return [out, code], predict


_WRITERS = {'onnx': _onnx, 'safetensors': _safetensors, 'torch': _torch}
