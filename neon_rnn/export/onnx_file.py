"""ONNX files: written from a network, and opened to classify with them."""

from __future__ import annotations

import importlib
import json
import logging
import os
import warnings
from typing import Any

import numpy
import torch

from neon_rnn.data import images
from neon_rnn.export.network import Network
from neon_rnn.runs.classifier import Classifier
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import atomic_file

#: The entry of the file's metadata that holds what `Classifier` needs, as JSON.
KEY = 'neon_rnn'
OPSET = 20


def need(*names: str) -> list[Any]:
    """Import packages of the extra ``onnx``.

    Raises
    ------
    UsageError
        One is not installed; says how to install it.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise UsageError(
            f"ONNX needs packages that are not installed ({error}): pip install '.[onnx]' in the "
            "project folder, into the Python that runs neon_rnn ('./run.sh': .venv/bin/pip)."
        ) from error


def write(path: str, network: Network, shape: tuple[int, ...], metadata: dict[str, Any]) -> None:
    """Write a network as ONNX, for any number of images at a time.

    Parameters
    ----------
    path : str
    network : Network
    shape : tuple of int
        (C, H, W).
    metadata : dict
        What JSON can hold; it becomes the entry `KEY` of the file's metadata.
    """
    need('onnx', 'onnxscript')
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)  # it names what is not installed
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # about deprecations inside the exporter
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=['pixels'],
            output_names=['probabilities'],
            dynamic_shapes=({0: torch.export.Dim('images', min=1)},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(metadata, sort_keys=True)
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def open_classifier(path: str, threads: int | None = None) -> Classifier:
    """Open an exported file to classify with it, by ONNX Runtime on the processor.

    Raises
    ------
    UsageError
        ONNX Runtime is not installed, or there is no such file.
    NeonRnnError
        The file cannot be read, or was not written by `export`.
    """
    (runtime,) = need('onnxruntime')
    if not os.path.isfile(path):
        raise UsageError(f'{path}: there is no such file.')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # the runtime has types of errors of its own
        raise NeonRnnError(f'{path}: cannot be read as ONNX ({error}).') from error
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise NeonRnnError(
            f"{path}: was not written by 'neon_rnn export': its metadata have no entry {KEY!r}."
        )
    metadata = json.loads(text)
    shape = metadata['shape']

    def predict(pixels: numpy.ndarray) -> numpy.ndarray:
        return session.run(None, {'pixels': pixels.reshape(-1, *shape)})[0]

    return Classifier(
        predict,
        metadata['class_names'],
        images.Preprocessing.of(metadata['preprocessing']),
        metadata['kind'],
        '{run_id}, epoch {epoch}'.format(**metadata),
    )
