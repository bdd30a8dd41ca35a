"""Weights and optimiser state, in and out, in neon's parameter structure
(``docs/architecture.md``).
"""

import collections

import numpy as np
from neon.layers.container import LayerContainer
from neon.optimizers.optimizer import get_param_list

from neon_rnn.engines.neon.backend import active
from neon_rnn.engines.parameters import STATISTICS, TRAINED, check_fit
from neon_rnn.support.errors import NeonRnnError

#: A named tensor of a model; `gradient` and `states` (neon's list of the optimiser's tensors) are
#: None for statistics.
Parameter = collections.namedtuple('Parameter', 'name tensor gradient states')


def parameters(model):
    """Return every parameter and running statistic of an initialised model, in neon's order.

    Returns
    -------
    list of Parameter

    Raises
    ------
    NeonRnnError
        A layer trains a parameter under another name than those of `parameters.TRAINED`.
    """
    return list(_container_parameters(model.layers, ''))


def _container_parameters(container, prefix):
    for position, layer in enumerate(container.layers):
        name = '{}{}.'.format(prefix, position)
        if isinstance(layer, LayerContainer):
            parts = _container_parameters(layer, name)
        else:
            parts = _layer_parameters(layer, name)
        for parameter in parts:
            yield parameter


def _layer_parameters(layer, prefix):
    if not layer.has_params:
        return
    if hasattr(layer, 'parts'):  # a SpatialRNN, or a stack
        for part, inner in layer.parts().items():
            for parameter in _layer_parameters(inner, '{}{}.'.format(prefix, part)):
                yield parameter
        return
    for (tensor, gradient), states in get_param_list([layer]):
        # with a default: on CPython 3.5 and 3.6 a StopIteration here would end the generator, and
        # lose the rest in silence
        name = next((name for name in TRAINED if getattr(layer, name, None) is tensor), None)
        if name is None:
            raise NeonRnnError(
                'layer {} ({}) trains a parameter that is none of {}; it cannot be saved.'.format(
                    prefix.rstrip('.'), type(layer).__name__, ', '.join(TRAINED)
                )
            )
        yield Parameter(prefix + name, tensor, gradient, states)
    for name in STATISTICS:
        tensor = getattr(layer, name, None)
        if tensor is not None:
            yield Parameter(prefix + name, tensor, None, None)


def _set(tensor, values):
    """Write an array into a tensor; drop a layout of MKL's that it may still carry."""
    be = active()
    be.clean_data(tensor, True)
    tensor.set(np.ascontiguousarray(values, dtype=tensor.dtype).reshape(tensor.shape))


def get_weights(model):
    """Return every parameter and running statistic, name -> float32 array in neon's shape."""
    return collections.OrderedDict(
        (parameter.name, np.asarray(parameter.tensor.get(), dtype=np.float32))
        for parameter in parameters(model)
    )


def set_weights(model, weights):
    """Put weights into a model of the same topology.

    Raises
    ------
    NeonRnnError
        Names or shapes differ; nothing is changed then.
    """
    found = parameters(model)
    check_fit(
        collections.OrderedDict(
            (parameter.name, tuple(parameter.tensor.shape)) for parameter in found
        ),
        weights,
    )
    for parameter in found:
        _set(parameter.tensor, weights[parameter.name])


def get_optimizer_state(model, optimizer):
    """Return name -> the state arrays (the velocity) of every trained parameter; empty before the
    first step.
    """
    return collections.OrderedDict(
        (parameter.name, [state.get() for state in parameter.states])
        for parameter in parameters(model)
        if parameter.states
    )


def set_optimizer_state(model, optimizer, state):
    """Put back what `get_optimizer_state` returned (in either engine).

    Raises
    ------
    NeonRnnError
        A parameter's state is missing, or has another shape.
    """
    trained = [parameter for parameter in parameters(model) if parameter.states is not None]
    if state:
        check_fit(
            collections.OrderedDict(
                (parameter.name, tuple(parameter.tensor.shape)) for parameter in trained
            ),
            {name: arrays[0] for name, arrays in state.items()},
            what='optimiser states',
        )
    be = active()
    for parameter in trained:
        del parameter.states[:]
        for values in state[parameter.name] if state else ():
            parameter.states.append(be.zeros_like(parameter.tensor))
            _set(parameter.states[-1], values)
