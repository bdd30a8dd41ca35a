"""The registry of networks: every row of the published table, in its order, under the name that the CLI takes."""

import importlib

from neon_rnn import published
from neon_rnn.support.errors import UsageError

#: name -> (module, function) of every row of the table, and of what is no row.
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
#: Every name, in table order.
ROWS = tuple(published.rows())
#: Networks beside the published rows, on the torch engine only.
EXTRAS = tuple(name for name in _BUILDERS if name not in ROWS)


def builder(name):
    """The function that builds a network.

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
        As in a run record: what the network's function takes beside; `pretrained`, which says where weights came
        from, changes no network.

    Returns
    -------
    model, cost
    """
    function = builder(name)
    options.pop('pretrained', None)
    if input_shape is not None:
        options['input_shape'] = tuple(input_shape)
    return function(nn=nn, **options)
