"""The registry of networks: each row of the published table under its name on the command line."""

import importlib

from neon_rnn import published
from neon_rnn.support.errors import UsageError

#: Name -> (module, function): the rows of the table, then other networks.
_BUILDERS = {
    'fcnn-1': ('fcnn', 'generate_fcnn1_model'),
    'fcnn-2': ('fcnn', 'generate_fcnn2_model'),
    'fcnn-3': ('fcnn', 'generate_fcnn3_model'),
    'cnn-1': ('cnn', 'generate_cnn1_model'),
    'cnn-2': ('cnn', 'generate_cnn2_model'),
    'resnet-18': ('resnet', 'generate_resnet18_model'),
    'resnet-50': ('resnet', 'generate_resnet50_model'),
    'tl-1': ('transfer', 'generate_tl1_model'),
    'tl-2': ('transfer', 'generate_tl2_model'),
    'tl-3': ('transfer', 'generate_tl1_model'),
    'rnn': ('rnn', 'generate_rnn_cls_model'),
    'efficientnet-lite0': ('efficientnet', 'generate_efficientnet_lite0_model'),
}
#: The names of the rows, in the order of the table.
ROWS = tuple(published.rows())
#: The names of further networks, for the torch engine only.
EXTRAS = tuple(name for name in _BUILDERS if name not in ROWS)


def builder(name):
    """Return the function that builds a network.

    Raises
    ------
    UsageError
        There is no such network.
    """
    if name not in _BUILDERS:
        raise UsageError(
            'there is no model {!r}; the models are {}.'.format(name, ', '.join(ROWS + EXTRAS))
        )
    module, function = _BUILDERS[name]
    return getattr(importlib.import_module('neon_rnn.models.' + module), function)


def build(name, nn, input_shape=None, **options):
    """Build a network on an engine.

    Parameters
    ----------
    name : str
        One of `ROWS` or `EXTRAS`.
    nn : module
        The engine.
    input_shape : tuple of int, optional
        (C, H, W); default: as published.
    options
        Further arguments of the network's builder, as in a run record. `pretrained`, which says
        where weights came from, is ignored.

    Returns
    -------
    model, cost
    """
    function = builder(name)
    options.pop('pretrained', None)
    if input_shape is not None:
        options['input_shape'] = tuple(input_shape)
    return function(nn=nn, **options)
