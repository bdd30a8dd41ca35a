"""neon 2.6.0 with drivers and GPUs of today; its files stay unchanged.

What changes is the text of neon's kernels in CUDA C, which is made while neon runs.

On every GPU:

- A kernel's ``bool`` has one byte, and neon hands over an integer of four. Today's drivers end such
  a launch ("too many resources requested for launch"). The parameter becomes an ``int``.

On Volta and later (compute capability 7.0 and up) neon would take machine code for Maxwell, which
these GPUs cannot run. What it has for Kepler is CUDA C, and that runs on any GPU if two more things
change:

- Shuffles and votes need the mask of the lanes that take part. Shuffles are made by whole warps. A
  vote stands in a loop that lanes leave one after another; `_lanes` writes down which ones are
  left.
- The lanes of a warp no longer run in lockstep, so that a barrier is needed where shared memory is
  read and then written again: behind a reduction, and before the next pixel in the gradient of
  filters.

An H100 has run them (docs/gpu-on-cpu.md). For other generations they are compiled by NVIDIA's
compilers. The stand-in of docs/gpu-on-cpu.md holds each mask to the lanes that really take part.
"""

import re

from neon_rnn.support.nvidia_gpu import VOLTA

#: Goes before every kernel.
PRELUDE = """
#define __shfl(value, lane) __shfl_sync(0xffffffffu, value, lane)
#define __shfl_xor(value, lanes) __shfl_xor_sync(0xffffffffu, value, lanes)
"""
#: Goes before kernels with votes; nvcc would warn of a function that others do not call.
LANES_BELOW = """
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
_PARAMETERS = re.compile(r'__global__[^(]*\([^)]*\)')
_REDUCED = re.compile(r'\w+ = sPartials\[[^\]]*0\];')


def complete(be):
    """Have a gpu backend change its kernels, and on Volta and later take those in CUDA C.

    Parameters
    ----------
    be : NervanaGPU
    """
    modern = tuple(be.compute_capability) >= VOLTA
    if modern:
        be.use_cudac_kernels = True
    from neon.backends.util.source_module import SourceModule

    if not hasattr(SourceModule, 'of_neon'):
        SourceModule.of_neon = SourceModule.__init__
    change = adapt if modern else with_whole_parameters

    def compile_changed(module, source, *args, **more):
        module.of_neon(change(source), *args, **more)

    SourceModule.__init__ = compile_changed


def with_whole_parameters(source):
    """Return a kernel whose parameters have the four bytes that neon hands over."""
    return _PARAMETERS.sub(lambda found: re.sub(r'\bbool\b', 'int', found.group()), source)


def adapt(source):
    """Return a kernel of neon's as Volta and later need it.

    Raises
    ------
    NotImplementedError
        A vote stands in a loop of another form than those known.
    """
    source = with_whole_parameters(source)
    if 'conv_update' in source:
        source = source.replace('Matrix buffer;', '__syncthreads(); Matrix buffer;', 1)
    source = _REDUCED.sub(r'\g<0> __syncthreads();', source)
    adapted = _VOTE.sub(
        lambda vote: '__ballot_sync({}, '.format(_lanes(source, vote.start())), source
    )
    return PRELUDE + (LANES_BELOW if _VOTE.search(source) else '') + adapted


def _lanes(source, place):
    """Return C for the mask of the lanes that are still in the loop around the vote at a place."""
    loops = _LOOP.findall(source[:place])
    if not loops:
        raise NotImplementedError('a kernel of neon with a vote in a loop of another form')
    variable, bound = loops[-1]
    if 'maskN' in source:
        return 'lanes_below({} - ({} - n), min(maskN + 1, 32))'.format(bound, variable)
    return 'lanes_below({} - ({} - tid), 32)'.format(bound, variable)
