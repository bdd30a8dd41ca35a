"""What neon 2.6.0's gpu backend lacks in convolutions; neon's files stay unchanged.

Three things, each found by running neon's own kernels (docs/gpu-on-cpu.md):

- ``NervanaGPU.update_conv`` takes ``grad_bias`` and never writes it. The bias of a convolution is
  then trained with whatever the memory of the gradient holds. neon's cpu and mkl backends compute
  the sum of the error, and so does this.
- On Kepler the kernels read filters by fours: the output maps have to divide by 4, and for the
  error of the input the input maps too. The published network has convolutions from 3 maps and to
  2, so it fails an assertion there. Here the missing maps are added, filled with zeros.
- On Kepler the batch size has to divide by 32; neon ends in a bare assertion, this in a sentence.
"""

from neon_rnn.support.errors import UsageError

#: What Kepler's kernels need: images of a minibatch, and maps.
IMAGES, MAPS = 32, 4


def complete(be):
    """Give a gpu backend the methods that do all of this.

    Parameters
    ----------
    be : NervanaGPU
    """
    _Convolutions(be)


class PaddedLayer(object):
    """A convolution whose maps do not divide by 4, computed by neon layers with maps added.

    Parameters
    ----------
    make : callable
        neon's own ``conv_layer``.
    dtype : type
    C, K : int
        Input and output maps.
    shape : dict
        The rest of what ``conv_layer`` takes.

    Attributes
    ----------
    forward, backward : ConvLayer
        For outputs and weights, with the input's own maps; for the error of the input, with maps
        added to it as well.
    """

    def __init__(self, make, dtype, C, K, shape):
        self.forward = make(dtype, C=C, K=_whole(K), **shape)
        self.backward = make(dtype, C=_whole(C), K=_whole(K), **shape) if C % MAPS else self.forward
        self.C, self.K = C, K
        self.dimI = self.forward.dimI
        self.dimO = (K,) + tuple(self.forward.dimO[1:])
        self.dimF2 = (self.forward.dimF2[0], K)
        self._buffers = {}

    def buffer(self, be, name, shape):
        """Return a tensor of that shape that is kept; zeros where nothing is ever written."""
        if name not in self._buffers:
            self._buffers[name] = be.zeros(shape, dtype=be.default_dtype)
        return self._buffers[name]

    def filters(self, be, F, layer, name):
        """Return the filters (C*R*S, K) with the maps of `layer`, the added ones zero."""
        padded = self.buffer(be, name, layer.dimF2)
        padded[: F.shape[0], : self.K] = F
        return padded

    def error(self, be, E):
        """Return the error (K*P*Q, images) with added maps of zeros."""
        padded = self.buffer(be, 'error', layer_shape(self.forward.dimO))
        rows = layer_shape(self.dimO)
        padded[: rows[0]] = E.reshape(rows)
        return padded


class _Convolutions(object):
    """The four methods, put in the place of a backend's own."""

    def __init__(self, be):
        self.be = be
        self.own = {name: getattr(be, name) for name in METHODS}
        for name in METHODS:
            setattr(be, name, getattr(self, name))

    def conv_layer(self, dtype, N, C, K, **shape):
        """Make a layer; a `PaddedLayer` where the maps ask for it.

        Raises
        ------
        UsageError
            The batch size does not divide by 32, on Kepler.
        """
        if not self.be.use_cudac_kernels:
            return self.own['conv_layer'](dtype, N=N, C=C, K=K, **shape)
        if N % IMAGES:
            raise UsageError(
                "-z {}: on this GPU neon's convolutions take batch sizes that divide by {}. "
                'Give another one.'.format(N, IMAGES)
            )
        shape['N'] = N
        if C % MAPS or K % MAPS:
            return PaddedLayer(self.own['conv_layer'], dtype, C, K, shape)
        return self.own['conv_layer'](dtype, C=C, K=K, **shape)

    def fprop_conv(self, layer, I, F, O, bias=None, bsum=None, alpha=1.0, beta=0.0, **more):  # noqa: E741
        """Compute ``O = alpha * (F x I + bias) + beta * O``, and ``bsum``, the sum of each map."""
        be = self.be
        if not isinstance(layer, PaddedLayer):
            return self.own['fprop_conv'](
                layer, I, F, O, bias=bias, bsum=bsum, alpha=alpha, beta=beta, **more
            )
        _refuse_others(more)
        output = layer.buffer(be, 'output', layer_shape(layer.forward.dimO))
        filters = layer.filters(be, F, layer.forward, 'filters')
        self.own['fprop_conv'](layer.forward, I, filters, output)
        rows = layer_shape(layer.dimO)
        result = output[: rows[0]].reshape((layer.K, -1))
        target = O.reshape((layer.K, -1))
        _accumulate(target, result if bias is None else result + bias, alpha, beta)
        if bsum is not None:
            bsum[:] = be.sum(target, axis=1)
        return None

    def bprop_conv(self, layer, F, E, grad_I, alpha=1.0, beta=0.0, **more):
        """Compute ``grad_I = alpha * (the error of the input) + beta * grad_I``."""
        if not isinstance(layer, PaddedLayer):
            return self.own['bprop_conv'](layer, F, E, grad_I, alpha=alpha, beta=beta, **more)
        _refuse_others(more)
        be = self.be
        found = layer.buffer(be, 'deltas', layer_shape(layer.backward.dimI))
        filters = layer.filters(be, F, layer.backward, 'filters of bprop')
        self.own['bprop_conv'](layer.backward, filters, layer.error(be, E), found)
        rows = layer_shape(layer.dimI)
        _accumulate(grad_I.reshape(rows), found[: rows[0]], alpha, beta)
        return None

    def update_conv(self, layer, I, E, grad_F, alpha=1.0, beta=0.0, grad_bias=None, **more):  # noqa: E741
        """Compute the gradients of the filters and, where it is asked for, of the bias."""
        be = self.be
        if grad_bias is not None:
            grad_bias[:] = be.sum(E.reshape((grad_bias.shape[0], -1)), axis=1)
        if not isinstance(layer, PaddedLayer):
            return self.own['update_conv'](layer, I, E, grad_F, alpha=alpha, beta=beta, **more)
        _refuse_others(more)
        found = layer.buffer(be, 'gradient', layer.forward.dimF2)
        self.own['update_conv'](layer.forward, I, layer.error(be, E), found)
        _accumulate(grad_F, found[:, : layer.K], alpha, beta)
        return None


METHODS = ('conv_layer', 'fprop_conv', 'bprop_conv', 'update_conv')


def layer_shape(dimensions):
    """(maps, depth, rows, columns, images) -> (values of an image, images)."""
    values = 1
    for size in dimensions[:-1]:
        values *= size
    return values, dimensions[-1]


def _whole(maps):
    return -(-maps // MAPS) * MAPS


def _accumulate(target, result, alpha, beta):
    if alpha != 1.0:
        result = alpha * result
    target[:] = result + beta * target if beta else result


def _refuse_others(more):
    """Refuse what neon's layers do not ask for; `layer_op` is for the mkl backend only."""
    others = sorted(name for name, value in more.items() if value and name != 'layer_op')
    if others:
        raise NotImplementedError(
            'a convolution with {} and maps that do not divide by {}'.format(
                ', '.join(others), MAPS
            )
        )
