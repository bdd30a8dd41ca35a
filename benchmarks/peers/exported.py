"""The exported network in ONNX Runtime and in OpenVINO; both only predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

Predict = Callable[[numpy.ndarray], numpy.ndarray]


def make_predictor(spec: dict[str, Any], reference: Any) -> tuple[Predict, dict[str, Any]]:
    """Open the reference's ONNX file as a spec asks for.

    Returns
    -------
    predict : callable
        uint8 (n, C*H*W) -> float32 (n, classes).
    about : dict
    """
    make = {'onnxruntime': _onnxruntime, 'openvino': _openvino}[spec['runtime']]
    run, about = make(reference.onnx, spec['threads'], spec['precision'])
    shape = (-1, 3, spec['side'], spec['side'])
    return lambda inputs: run(inputs.reshape(shape)), about


def _onnxruntime(path: str, threads: int | None, precision: str) -> tuple[Predict, dict[str, Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    about = {'onnxruntime': onnxruntime.__version__}
    return lambda pixels: session.run(None, {'pixels': pixels})[0], about


def _openvino(path: str, threads: int | None, precision: str) -> tuple[Predict, dict[str, Any]]:
    import openvino

    settings: dict[str, Any] = {
        'INFERENCE_PRECISION_HINT': {'float32': 'f32', 'bf16': 'bf16'}[precision],
        'PERFORMANCE_HINT': 'LATENCY',  # one request at a time, on all threads
    }
    if threads is not None:
        settings['INFERENCE_NUM_THREADS'] = threads
    compiled = openvino.Core().compile_model(path, 'CPU', settings)
    about = {'openvino': openvino.__version__}
    return lambda pixels: compiled([pixels])[0], about
