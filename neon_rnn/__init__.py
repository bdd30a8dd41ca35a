"""neon_rnn: the recurrent gender classifier of 2018, on Intel neon 2.6 and on PyTorch with neon's
arithmetic.

``from neon_rnn import SpatialRNN`` gives the layer for any PyTorch network (docs/layer.md).
"""

__version__ = '1.0.0'

#: Name -> the module that holds it, imported when the name is asked for: PyTorch loads slowly.
_MODULES = {'SpatialRNN': 'neon_rnn.engines.torch.module'}


def __getattr__(name):  # Python calls it from 3.7 on
    if name not in _MODULES:
        raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)
