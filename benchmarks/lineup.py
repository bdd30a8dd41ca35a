"""Who takes part: the engines, and the peers that are installed; the others with the reason."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.variants import Variant
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError

#: Values of ``--peers``.
PEERS = (
    'eager',
    'channels_last',
    'compiled',
    'renet',
    'jax',
    'keras',
    'onnxruntime',
    'openvino',
    'neon',
)
_INSTALL = 'pip install -r benchmarks/peers.txt into a Python of their own, and --peers-python'


class Lineup(NamedTuple):
    """The variants that can be measured, and why the others cannot.

    Attributes
    ----------
    variants : list of Variant
    skipped : dict
        Key of a variant -> ``label`` and ``reason``.
    """

    variants: list[Variant]
    skipped: dict[str, dict[str, str]]


class Pythons(NamedTuple):
    """The interpreters that run variants, besides this one.

    Attributes
    ----------
    neon, peers : str or None
    """

    neon: str | None = None
    peers: str | None = None


def lineup(
    common: dict[str, Any], pythons: Pythons, names: tuple[str, ...] | None = None
) -> Lineup:
    """Return who takes part.

    Parameters
    ----------
    common : dict
        What all specs share: model, options, batch, side, threads, backend.
    pythons : Pythons
    names : tuple of str, optional
        Some of `PEERS`; default: all.
    """
    ours = dict(common, kind='engine', engine='torch')
    chosen = [
        Variant('torch-float32', 'torch engine, float32', dict(ours, precision='float32')),
        Variant('torch-bf16', 'torch engine, bf16', dict(ours, precision='bf16')),
    ]
    skipped = {}
    python = pythons.peers or sys.executable
    for name in PEERS if names is None else names:
        runs = (pythons.neon or '') if name == 'neon' else python
        found = list(_MAKERS[name](common, runs))
        obstacle = _obstacle(name, common, pythons.neon, python)
        for variant in found:
            reason = obstacle or _too_slow(variant.spec)
            if reason is None:
                chosen.append(variant)
            else:
                skipped[variant.key] = {'label': variant.label, 'reason': reason}
    return Lineup(chosen, skipped)


def _eager(common: dict[str, Any], python: str) -> Iterator[Variant]:
    """Iterate over the port as it is, and on the CPU with the engine's allocator settings."""
    for keep_memory in (False, True) if common['backend'] == 'cpu' else (False,):
        for precision in ('float32', 'bf16'):
            key = f'eager-{precision}' + ('-memory' if keep_memory else '')
            label = 'PyTorch eager port, ' + _autocast(precision)
            label += ', allocator as ours' if keep_memory else ''
            yield _port(common, key, label, precision=precision, keep_memory=keep_memory)


def _channels_last(common: dict[str, Any], python: str) -> Iterator[Variant]:
    yield from _ports(common, 'channels-last', 'the port, channels last', channels_last=True)


def _compiled(common: dict[str, Any], python: str) -> Iterator[Variant]:
    yield from _ports(
        common,
        'compiled',
        'torch.compile (max-autotune) of the port',
        channels_last=True,
        compiled=True,
    )


def _renet(common: dict[str, Any], python: str) -> Iterator[Variant]:
    if common['model'] == 'rnn':
        yield from _ports(common, 'renet', 'the port, swept as ReNet ports do', renet=True)


def _ports(common: dict[str, Any], key: str, label: str, **options: Any) -> Iterator[Variant]:
    """Iterate over a variant of the port in float32 and bf16, with the allocator settings."""
    keep_memory = common['backend'] == 'cpu'
    for precision in ('float32', 'bf16'):
        text = f'{label}, {_autocast(precision)}' + (', allocator as ours' if keep_memory else '')
        settings = dict(options, precision=precision, keep_memory=keep_memory)
        yield _port(common, f'{key}-{precision}', text, **settings)


def _port(common: dict[str, Any], key: str, label: str, **options: Any) -> Variant:
    return Variant(key, label, dict(common, kind='peer', peer='torch_port', **options))


def _autocast(precision: str) -> str:
    return 'bf16 autocast' if precision == 'bf16' else precision


def _jax(common: dict[str, Any], python: str) -> Iterator[Variant]:
    spec = dict(common, kind='peer', peer='flax_port', precision='float32')
    settings = {'JAX_PLATFORMS': 'cpu', 'JAX_TRACEBACK_FILTERING': 'off'}
    yield Variant('jax-float32', 'JAX and Flax, float32', spec, python, settings)


def _keras(common: dict[str, Any], python: str) -> Iterator[Variant]:
    spec = dict(common, kind='peer', peer='keras_port', precision='float32')
    settings = {'KERAS_BACKEND': 'tensorflow', 'TF_CPP_MIN_LOG_LEVEL': '2'}
    yield Variant('keras-float32', 'Keras 3 on TensorFlow, float32', spec, python, settings)


def _onnxruntime(common: dict[str, Any], python: str) -> Iterator[Variant]:
    spec = dict(common, kind='predictor', peer='exported', runtime='onnxruntime')
    spec['precision'] = 'float32'
    label = 'ONNX Runtime, exported network, float32'
    yield Variant('onnxruntime-float32', label, spec, python, requests=('predict',))


def _openvino(common: dict[str, Any], python: str) -> Iterator[Variant]:
    for precision in ('float32', 'bf16'):
        spec = dict(common, kind='predictor', peer='exported', runtime='openvino')
        spec['precision'] = precision
        label = f'OpenVINO, exported network, {precision}'
        yield Variant(f'openvino-{precision}', label, spec, python, requests=('predict',))


def _neon(common: dict[str, Any], python: str) -> Iterator[Variant]:
    """Iterate over the backends of Intel neon, in its own Python."""
    spec = dict(common, kind='engine', engine='neon', precision='float32')
    if spec['backend'] == 'gpu':
        yield Variant('neon-gpu', 'Intel neon, gpu', spec, python)
        return
    yield Variant('neon-mkl', 'Intel neon, mkl', dict(spec, backend='mkl'), python)
    yield Variant('neon-numpy', 'Intel neon, cpu (NumPy)', dict(spec, backend='numpy'), python)
    if 'AMD' in machine.cpu_model():
        yield Variant(
            'neon-mkl-default',
            "Intel neon, mkl, MKL's default kernels, measured alone",
            dict(spec, backend='mkl'),
            python,
            # An empty value keeps the engine from choosing MKL's AVX2 kernels.
            {'MKL_DEBUG_CPU_TYPE': ''},
            alone=True,
        )


_MAKERS = {
    'eager': _eager,
    'channels_last': _channels_last,
    'compiled': _compiled,
    'renet': _renet,
    'jax': _jax,
    'keras': _keras,
    'onnxruntime': _onnxruntime,
    'openvino': _openvino,
    'neon': _neon,
}
#: Peer -> the packages that it needs in its Python.
_PACKAGES = {
    'jax': ('jax', 'flax', 'optax'),
    'keras': ('keras', 'tensorflow'),
    'onnxruntime': ('onnxruntime',),
    'openvino': ('openvino',),
}


def _obstacle(
    name: str, common: dict[str, Any], neon_python: str | None, python: str
) -> str | None:
    """Say why a peer cannot be measured; None if it can."""
    if name == 'neon':
        return None if neon_python else 'name a Python that has it with --neon-python'
    if name in _PACKAGES and common['backend'] == 'gpu':
        return 'measured on the processor only'
    if name in ('jax', 'keras') and 'gru' in str(common['options'].get('rnn')):
        return "its GRU applies the reset gate behind the product, neon's before"
    if name == 'compiled' and not any(map(shutil.which, ('g++', 'c++', 'clang++'))):
        return 'needs a C++ compiler'
    if name == 'compiled' and ' ' in _file('torch'):
        return f'PyTorch cannot link what it compiles where its path has a space: {_file("torch")}'
    if name in ('onnxruntime', 'openvino') and not importlib.util.find_spec('onnxscript'):
        return "the export needs packages that are not installed: pip install '.[onnx]'"
    missing = _missing(python, _PACKAGES.get(name, ()))
    return f'not installed: {", ".join(missing)} ({_INSTALL})' if missing else None


def _too_slow(spec: dict[str, Any]) -> str | None:
    """Say why a variant would take minutes for a minibatch; None if it does not."""
    if spec.get('peer') == 'torch_port' and (spec['precision'], spec['backend']) == ('bf16', 'cpu'):
        # They take seconds to import.
        import torch

        from neon_rnn.engines.torch.ops.matmul import multiplies_bfloat16

        if not multiplies_bfloat16(torch.device('cpu')):
            return 'this processor has no bfloat16, and PyTorch multiplies one pair after the other'
    return None


def _file(package: str) -> str:
    """Return the file of a package that this interpreter imports."""
    spec = importlib.util.find_spec(package)
    return (spec and spec.origin) or ''


def _missing(python: str, packages: tuple[str, ...]) -> list[str]:
    """Return those packages that an interpreter does not find.

    Raises
    ------
    NeonRnnError
        It does not run.
    """
    if python == sys.executable:
        return [name for name in packages if not importlib.util.find_spec(name)]
    code = (
        'import importlib.util, json, sys; '
        'print(json.dumps([n for n in sys.argv[1:] if not importlib.util.find_spec(n)]))'
    )
    done = subprocess.run(
        [python, '-c', code, *packages], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NeonRnnError(f'{python}: does not run ({done.stderr.strip()[-200:]}).')
    return json.loads(done.stdout)
