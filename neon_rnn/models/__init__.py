"""The registry of networks: every row of the published table, in its order, under the name that the CLI takes."""
import importlib

from neon_rnn import published
from neon_rnn.errors import UsageError

#: name -> (module, function) of the networks that are built.
_BUILDERS = {
    'rnn': ('rnn', 'generate_rnn_cls_model'),
}
#: Every name, in table order.
ROWS = tuple(published.rows())


def builder(name):
    """The function that builds a network.

    Raises
    ------
    UsageError
        There is no such row, or its network is not built yet.
    """
    if name not in ROWS:
        raise UsageError('there is no model {!r}; the models are {}.'.format(name, ', '.join(ROWS)))
    if name not in _BUILDERS:
        raise UsageError('the network of row {} is not built yet; built are {}.'.format(name, ', '.join(_BUILDERS)))
    module, function = _BUILDERS[name]
    return getattr(importlib.import_module('neon_rnn.models.' + module), function)


def build(name, nn, input_shape=None, **options):
    """Build a network on an engine.

    Parameters
    ----------
    name : str
        One of `ROWS`.
    nn : module
        The engine.
    input_shape : tuple of int, optional
        (C, H, W); default: as published.
    options
        What the network's function takes beside.

    Returns
    -------
    model, cost
    """
    function = builder(name)
    if input_shape is not None:
        options['input_shape'] = tuple(input_shape)
    return function(nn=nn, **options)
