"""MergeSum on neon's mkl backend: what neon 2.6.0 computes wrongly there is refused.

The sum itself is MKL's. Each summand, a pathway's result or in the backward pass its error, has to
carry a layout, MKL's own or the one that an MKL layer noted for NumPy's order. What another kind of
layer made carries none (a recurrent layer; the error that comes out of an activation other than
Rectlin): MKL then reports an error, which neon prints and ignores, and the sum stays what it was
the minibatch before. Repaired after 2.6.0, in neon's commit a287bf6.

The error that comes in is not copied for the pathways. An activation at the end of one changes it
where it is, and the other pathways read what is left: beside a SkipNode the gradients are then off
by half their size.

In the residual networks of the table pathways end in batch norm or a SkipNode and a Rectlin follows
the sum, and every sum is right, forward and backward (``tests/parity/neon_merge_checks.py``).
"""

from neon.layers import MergeSum, Pooling, SkipNode
from neon.layers.container import LayerContainer
from neon.layers.layer import BatchNorm, Bias, Convolution

from neon_rnn.support.errors import UsageError

#: Layers of MKL's own that leave the error which they are given as it is.
_LAST = (BatchNorm, Bias, Convolution, MergeSum, Pooling, SkipNode)
#: Addresses of a tensor: of its layout and buffer in NumPy's order, of its layout and buffer in
#: MKL's.
_ADDRESSES = 4
_LAYOUT, _MKL_LAYOUT = 0, 2
_INSTEAD = 'Use -b numpy, or --engine torch.'


def refuse_other_pathways(container):
    """Refuse a model in which a pathway of a MergeSum ends in a layer after which mkl's gradients
    are wrong.

    Parameters
    ----------
    container : LayerContainer
        Of neon, say the ``layers`` of a model; those inside it are looked into.

    Raises
    ------
    UsageError
        Names the type of the layer.
    """
    for layer in container.layers:
        if not isinstance(layer, LayerContainer):
            continue
        if isinstance(layer, MergeSum):
            for pathway in layer.layers:
                last = pathway
                while isinstance(last, LayerContainer) and not isinstance(last, MergeSum):
                    last = last.layers[-1]
                if not isinstance(last, _LAST):
                    raise UsageError(
                        "on neon 2.6.0's mkl backend a pathway of a MergeSum has to end in a "
                        'convolution, batch '
                        'norm, pooling or a SkipNode; here one ends in {}, and the gradients would '
                        'be wrong. '
                        '{}'.format(type(last).__name__, _INSTEAD)
                    )
        refuse_other_pathways(layer)


def refuse_undone_sums(be):
    """Have the ``sum_tensor`` of an mkl backend, a method of this one object, refuse what it would
    leave undone.

    Parameters
    ----------
    be : NervanaMKL
        Afterwards ``sum_tensor(primitives, count, tensors, output)`` raises `UsageError` where one
        of the `count` summands carries no layout; `tensors` holds four addresses of each, uint64 (4
        * count,).
    """
    add = be.sum_tensor

    def checked(primitives, count, tensors, output):
        for position, addresses in enumerate(tensors.reshape(count, _ADDRESSES), 1):
            if not (addresses[_LAYOUT] or addresses[_MKL_LAYOUT]):
                raise UsageError(
                    "neon 2.6.0's mkl backend cannot add up this MergeSum: summand {} of {} comes "
                    'from a layer '
                    "that is not one of MKL's, and neon would go on with the sum of the minibatch "
                    'before. '
                    '{}'.format(position, count, _INSTEAD)
                )
        add(primitives, count, tensors, output)

    be.sum_tensor = checked
