"""Count SpatialRNN's own work on real neon: the copies from blocks to sequences and back.

    PYTHONPATH=. /path/to/neon/python tests/parity/neon_own_work_checks.py

Everything else is the work of neon's recurrent layers. On an AMD EPYC the copies took 4% of the
time of the first layer of the published network and 1% of the second, on either backend. Times
depend on the machine and what else it does, so the check counts values instead.
"""

import contextlib

import numpy as np
from neon_layers import BACKENDS, nn, run_checks, standing_alone, start

from neon_rnn.engines.neon.sweep import Sweep

#: The two layers of the published network: input shape, block shape, units.
PUBLISHED = (((256, 16, 16), (256, 2, 2), 256), ((512, 8, 8), (512, 2, 2), 512))
BATCH = 4


@contextlib.contextmanager
def own_copies(be):
    """Yield a list of the sizes that `copy_transpose` copies outside of neon's recurrent layers."""
    sizes, depth = [], [0]
    kind, copy, plain = type(be), type(be).copy_transpose, (Sweep.fprop, Sweep.bprop)

    def counted(be, source, *arguments):
        if not depth[0]:
            sizes.append(source.size)
        return copy(be, source, *arguments)

    def inside(method):
        def call(*arguments):
            depth[0] += 1
            try:
                return method(*arguments)
            finally:
                depth[0] -= 1

        return call

    kind.copy_transpose = counted
    Sweep.fprop, Sweep.bprop = (inside(method) for method in plain)
    try:
        yield sizes
    finally:
        kind.copy_transpose = copy
        Sweep.fprop, Sweep.bprop = plain


def published(backend, shape, block, units):
    """Return a layer of the published network with its backend, input and error."""
    be = start(backend, 'float32', BATCH)
    params = dict(output_size=units, init=nn.GlorotUniform(), activation=nn.Tanh())
    layer, x, e = standing_alone(be, layer=nn.SpatialRNN(shape, block, nn.BiRNN, params))
    return be, layer, be.array(x), be.array(e)


def borders(shape, block, units):
    """Return the sizes that are copied forward: input, output of each of the two sweeps."""
    swept = 2 * units * (shape[1] // block[1]) * (shape[2] // block[2])
    return [size * BATCH for size in (int(np.prod(shape)), swept, swept)]


def test_each_value_is_copied_once_at_each_border():
    for backend in BACKENDS:
        for sizes in PUBLISHED:
            be, layer, inputs, error = published(backend, *sizes)
            with own_copies(be) as copied:
                layer.fprop(inputs)
                assert copied == borders(*sizes), (backend, sizes, copied)
                del copied[:]
                layer.bprop(error)
                assert copied == borders(*sizes)[::-1], (backend, sizes, copied)


def test_a_copy_too_many_would_be_noticed():
    be, layer, inputs, _ = published('numpy', *PUBLISHED[0])
    once = layer._swap

    def twice(*arguments):
        once(*arguments)
        once(*arguments)

    layer._swap = twice
    with own_copies(be) as copied:
        layer.fprop(inputs)
    assert len(copied) == 5, copied


if __name__ == '__main__':
    run_checks(globals())
