"""Names and shapes of weights in neon's parameter structure, which both engines share.

docs/architecture.md describes it.
"""

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.wording import first_of

#: The last parts of the names of weights, in neon's order: parameters, then the running statistics
#: of batch norm.
TRAINED = ('W', 'weight_bias', 'beta', 'gamma', 'V')
STATISTICS = ('gmean', 'gvar')
#: The names of the networks of a stack, the lowest one first.
PARTS = ('first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth')
#: Layers of a step, or networks of a stack, unless given.
DEPTH = 2


def check_depth(layer, depth):
    """Return the depth of a recurrent layer: layers of a step, or networks of a stack.

    Raises
    ------
    UsageError
        It is not a number from 1 to 8; names `layer`.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= len(PARTS):
        raise UsageError(
            '{}: the depth has to be a number from 1 to {}, not {!r}.'.format(
                layer, len(PARTS), depth
            )
        )
    return depth


def part_names(depth):
    """Return the names of the networks of a stack, as they are saved: first, second, ..."""
    return PARTS[:depth]


def check_fit(expected, given, what='weights'):
    """Compare names and shapes with those of a model.

    Parameters
    ----------
    expected : dict
        Name -> shape, of the model.
    given : dict of numpy.ndarray
    what : str
        The word for them in the message.

    Raises
    ------
    NeonRnnError
        Names or shapes differ; lists the first differences.
    """
    shapes = {name: tuple(values.shape) for name, values in given.items()}
    problems = ['{} is missing'.format(name) for name in expected if name not in shapes]
    problems += [
        '{} has no place in the model'.format(name) for name in shapes if name not in expected
    ]
    problems += [
        '{} is {}, the model has {}'.format(name, shapes[name], tuple(shape))
        for name, shape in expected.items()
        if name in shapes and shapes[name] != tuple(shape)
    ]
    if problems:
        raise NeonRnnError(
            'the {} are of another model: {}.'.format(what, first_of(problems, most=4))
        )


def trained_values(weights):
    """Return how many values a model trains: all of its weights but the running statistics.

    Parameters
    ----------
    weights : dict of numpy.ndarray
        As an engine's ``get_weights`` returns them.
    """
    return sum(
        int(values.size)
        for name, values in weights.items()
        if name.rpartition('.')[2] not in STATISTICS
    )
