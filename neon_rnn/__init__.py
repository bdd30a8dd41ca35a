"""neon_rnn: the recurrent gender classifier of 2018, on Intel neon 2.6 and on PyTorch with neon's
arithmetic.

``neon_rnn.train`` and the other names of ``__all__`` are for programs (docs/api.md).
``from neon_rnn import SpatialRNN`` gives the layer for any PyTorch network (docs/layer.md).
"""

__version__ = '1.0.0'

#: Name -> the module that holds it, imported when the name is asked for: PyTorch loads slowly.
_MODULES = {
    'Network': 'neon_rnn.api',
    'SpatialRNN': 'neon_rnn.engines.torch.module',
    'build_model': 'neon_rnn.api',
    'evaluate': 'neon_rnn.api',
    'export_run': 'neon_rnn.api',
    'make_demo': 'neon_rnn.api',
    'open_dataset': 'neon_rnn.api',
    'open_run': 'neon_rnn.api',
    'resume': 'neon_rnn.api',
    'sweep_norms': 'neon_rnn.api',
    'train': 'neon_rnn.api',
}

__all__ = sorted(_MODULES)


def __getattr__(name):  # Python calls it from 3.7 on
    if name not in _MODULES:
        raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__():
    return sorted(set(globals()) | set(__all__))
