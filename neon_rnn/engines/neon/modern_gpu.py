"""neon 2.6.0 on GPUs of Volta and later (compute capability 7.0 and up); its files stay unchanged.

neon takes machine code for Maxwell on every GPU from 5.0 on; these GPUs cannot run it. What neon
has for Kepler is CUDA C. It runs on any GPU if two things change in the text of its kernels, which
is made while neon runs:

- Shuffles and votes need the mask of the lanes that take part. Shuffles are made by whole warps. A
  vote stands in a loop that lanes leave one after another; `_lanes` writes down which ones are
  left.
- The lanes of a warp no longer run in lockstep, so that a barrier is needed where shared memory is
  read and then written again: behind a reduction, and before the next pixel in the gradient of
  filters.

No GPU of these generations has run this: the kernels are compiled by NVIDIA's compilers for each of
them, and run by the stand-in of docs/gpu-on-cpu.md, which holds each mask to the lanes that really
take part.
"""

import re

from neon_rnn.support.nvidia_gpu import VOLTA

#: Goes before every kernel.
PRELUDE = """
#define __shfl(value, lane) __shfl_sync(0xffffffffu, value, lane)
#define __shfl_xor(value, lanes) __shfl_xor_sync(0xffffffffu, value, lanes)
/* The lanes whose number modulo the period is below a bound. */
static __device__ inline unsigned lanes_below(int bound, int period)
{
    unsigned lanes = 0;
    for (int lane = 0; lane < 32; lane++)
        lanes |= (unsigned)(lane % period < bound) << lane;
    return lanes;
}
"""

_VOTE = re.compile(r'__ballot\s*\(')
_LOOP = re.compile(r'while\s*\(\s*(rs|jrst)\s*<\s*(\w+)\s*\)')
_REDUCED = re.compile(r'\w+ = sPartials\[[^\]]*0\];')


def complete(be):
    """Have a gpu backend take kernels in CUDA C, fit for such a GPU; older GPUs keep neon's choice.

    Parameters
    ----------
    be : NervanaGPU
    """
    if tuple(be.compute_capability) < VOLTA:
        return
    be.use_cudac_kernels = True
    from neon.backends.util.source_module import SourceModule

    if not hasattr(SourceModule, 'of_neon'):
        SourceModule.of_neon = SourceModule.__init__
        SourceModule.__init__ = _compile_adapted


def _compile_adapted(module, source, *args, **more):
    module.of_neon(adapt(source), *args, **more)


def adapt(source):
    """Return a kernel of neon's as these GPUs need it.

    Raises
    ------
    NotImplementedError
        A vote stands in a loop of another form than those known.
    """
    if 'conv_update' in source:
        source = source.replace('Matrix buffer;', '__syncthreads(); Matrix buffer;', 1)
    source = _REDUCED.sub(r'\g<0> __syncthreads();', source)
    return PRELUDE + _VOTE.sub(
        lambda vote: '__ballot_sync({}, '.format(_lanes(source, vote.start())), source
    )


def _lanes(source, place):
    """Return C for the mask of the lanes that are still in the loop around the vote at a place."""
    loops = _LOOP.findall(source[:place])
    if not loops:
        raise NotImplementedError('a kernel of neon with a vote in a loop of another form')
    variable, bound = loops[-1]
    if 'maskN' in source:
        return 'lanes_below({} - ({} - n), min(maskN + 1, 32))'.format(bound, variable)
    return 'lanes_below({} - ({} - tid), 32)'.format(bound, variable)
