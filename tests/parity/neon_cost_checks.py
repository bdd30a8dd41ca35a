"""What SpatialRNN's own work, blocks to sequences and back, costs of the layer's time on real neon.

PYTHONPATH=. /path/to/neon/python tests/parity/neon_cost_checks.py
"""

import contextlib
import time

from neon_layers import BACKENDS, nn, run_checks, standing_alone, start

from neon_rnn.engines.neon.sweep import Sweep

#: Measured on an AMD EPYC: 4% of the first layer's time and 1% of the second's, on either backend.
LIMIT = 0.10
ROUNDS = 4
#: The two layers of the published network: input shape, block shape, units.
PUBLISHED = (((256, 16, 16), (256, 2, 2), 256), ((512, 8, 8), (512, 2, 2), 512))
BATCH = 128


@contextlib.contextmanager
def timed_sweeps():
    """A list of one number: the seconds that neon's recurrent layers have taken."""
    seconds, plain = [0.0], (Sweep.fprop, Sweep.bprop)

    def timed(method):
        def call(*arguments):
            begin = time.perf_counter()
            result = method(*arguments)
            seconds[0] += time.perf_counter() - begin
            return result

        return call

    Sweep.fprop, Sweep.bprop = (timed(method) for method in plain)
    try:
        yield seconds
    finally:
        Sweep.fprop, Sweep.bprop = plain


def own_share(layer, inputs, error):
    """The share of the layer's forward and backward time that is not spent in neon's recurrent layers.

    Both parts are the least of several rounds: other programs on the machine only add to either.
    """
    own, sweeping = [], []
    with timed_sweeps() as seconds:
        for _ in range(ROUNDS):
            seconds[0], begin = 0.0, time.perf_counter()
            layer.fprop(inputs)
            layer.bprop(error)
            own.append(time.perf_counter() - begin - seconds[0])
            sweeping.append(seconds[0])
    return min(own) / (min(own) + min(sweeping))


def published(backend, shape, block, units):
    """A layer of the published network, with input and error."""
    be = start(backend, 'float32', BATCH)
    layer, x, e = standing_alone(
        be,
        layer=nn.SpatialRNN(
            shape,
            block,
            nn.BiRNN,
            dict(output_size=units, init=nn.GlorotUniform(), activation=nn.Tanh()),
        ),
    )
    return layer, be.array(x), be.array(e)


def test_own_work_is_a_small_part_of_the_layer():
    for backend in BACKENDS:
        for place, sizes in enumerate(PUBLISHED):
            share = own_share(*published(backend, *sizes))
            print('own work of SpatialRNN {}, {}: {:.1%}'.format(place + 1, backend, share))
            assert 0 < share < LIMIT, (backend, sizes, share)


def test_the_limit_would_be_exceeded():
    """Were the blocks gathered ten times as slowly, it would be seen."""
    layer, inputs, error = published('numpy', *PUBLISHED[0])
    kind, copy = type(layer.be), type(layer.be).copy_transpose

    def slow(be, *arguments):
        for _ in range(10):
            copy(be, *arguments)

    kind.copy_transpose = slow
    try:
        assert own_share(layer, inputs, error) > LIMIT
    finally:
        kind.copy_transpose = copy


if __name__ == '__main__':
    run_checks(globals())
