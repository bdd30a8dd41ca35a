"""The stand-in for a GPU itself: small kernels of our own against what CUDA says they compute.

Threads, warps, barriers and shared memory; arithmetic is in test_stand_in_arithmetic.py.
"""

import gc
import shutil

import numpy as np
import pytest
from cuda_on_cpu import NotSupported, compiler, memory

pytestmark = pytest.mark.skipif(
    shutil.which('g++') is None,
    reason='kernels are compiled by g++, which is not here: install g++',
)
ORDERS = pytest.mark.parametrize('order', compiler.ORDERS)


def test_memory_is_found_whenever_garbage_is_collected():
    """Garbage with memory in it may be collected in the middle of any allocation."""
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        kept = []
        for number in range(300):
            cycle = [memory.DeviceAllocation(64 + number)]
            cycle.append(cycle)
            kept.append(memory.DeviceAllocation(128))
            memory.view(kept[-1], 128)[:] = number % 256
        for number, allocation in enumerate(kept):
            assert set(memory.view(allocation, 128)) == {number % 256}
    finally:
        gc.set_threshold(*threshold)
    address = int(kept[0])
    kept[0].free()
    kept[0].free()
    with pytest.raises(NotSupported, match='are not in device memory'):
        memory.view(address, 128)


@ORDERS
def test_indices_of_threads_and_blocks(launch, order):
    out = np.zeros((3, 2, 2, 2, 3, 4), np.int32)
    launch(
        """__global__ void k(int *out) {
            int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
            int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
            out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 100 * block + thread;
        }""",
        [out],
        grid=(2, 2, 3),
        block=(4, 3, 2),
        order=order,
    )
    assert out.ravel().tolist() == [
        100 * block + thread for block in range(12) for thread in range(24)
    ]


@ORDERS
def test_a_sum_across_warps_and_blocks(launch, order):
    """Shuffles within a warp, shared memory between warps, an atomic addition between blocks."""
    x, out = np.arange(1000, dtype=np.float32), np.zeros(1, np.float32)
    launch(
        """__global__ void k(const float *x, float *out, int n) {
            __shared__ float partial[4];
            float sum = 0;
            for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
                sum += x[i];
            for (int i = 16; i > 0; i >>= 1) sum += __shfl_xor(sum, i);
            if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
            __syncthreads();
            if (threadIdx.x == 0) atomicAdd(out, partial[0] + partial[1] + partial[2] + partial[3]);
        }""",
        [x, out],
        grid=(3,),
        block=(128,),
        more=(1000,),
        order=order,
    )
    assert out[0] == x.sum()


@ORDERS
def test_every_shuffle(launch, order):
    out = np.zeros((6, 32), np.int32)
    launch(
        """__global__ void k(int *out) {
            int lane = threadIdx.x, value = 10 * lane;
            out[lane] = __shfl(value, lane + 8);
            out[32 + lane] = __shfl(value, 3, 8);
            out[64 + lane] = __shfl_xor(value, 5);
            out[96 + lane] = __shfl_up(value, 2);
            out[128 + lane] = __shfl_down(value, 2);
            out[160 + lane] = __shfl_down(value, 3, 16);
        }""",
        [out],
        order=order,
    )
    lanes = np.arange(32)
    down = np.where(lanes % 16 + 3 < 16, lanes + 3, lanes)
    expected = [
        (lanes + 8) % 32,
        lanes // 8 * 8 + 3,
        lanes ^ 5,
        np.where(lanes < 2, lanes, lanes - 2),
        np.where(lanes > 29, lanes, lanes + 2),
        down,
    ]
    np.testing.assert_array_equal(out, 10 * np.array(expected))


@ORDERS
def test_votes_of_lanes_that_went_different_ways(launch, order):
    """A loop that lanes leave one after another: the vote is that of those that are still in it."""
    out = np.zeros((32, 4), np.uint32)
    launch(
        """__global__ void k(unsigned *out) {
            int lane = threadIdx.x, turn = 0;
            for (int i = lane; i < 100; i += 32) out[4 * lane + turn++] = __ballot(i % 3 == 0);
        }""",
        [out],
        order=order,
    )
    for turn in range(4):
        active = [lane for lane in range(32) if lane + 32 * turn < 100]
        vote = sum(1 << lane for lane in active if (lane + 32 * turn) % 3 == 0)
        assert [int(value) for value in out[:, turn]] == [
            vote if lane in active else 0 for lane in range(32)
        ]


@ORDERS
def test_lanes_come_together_behind_what_parted_them(launch, order):
    """Votes under a condition in a loop, and in a loop of different length in another one."""
    conditional, nested = np.zeros((32, 3), np.uint32), np.zeros((32, 2, 2), np.uint32)
    launch(
        """__global__ void k(unsigned *conditional, unsigned *nested) {
            int lane = threadIdx.x;
            for (int j = 0; j < 3; j++)
                if (j == 1 || (lane + j) % 2) conditional[3 * lane + j] = __ballot(1);
                else conditional[3 * lane + j] = 7;
            for (int j = 0; j < 2; j++) {
                for (int l = 0; l <= (lane + j) % 2; l++)
                    nested[4 * lane + 2 * j + l] = __ballot(1);
            }
        }""",
        [conditional, nested],
        order=order,
    )
    odd, even = 0xAAAAAAAA, 0x55555555
    assert conditional[::2].tolist() == [[7, 0xFFFFFFFF, 7]] * 16
    assert conditional[1::2].tolist() == [[odd, 0xFFFFFFFF, odd]] * 16
    assert nested[::2].tolist() == [[[0xFFFFFFFF, 0], [0xFFFFFFFF, even]]] * 16
    assert nested[1::2].tolist() == [[[0xFFFFFFFF, odd], [0xFFFFFFFF, 0]]] * 16


@ORDERS
def test_a_vote_in_the_first_warp_only(launch, order):
    out = np.zeros(96, np.uint32)
    launch(
        """__global__ void k(unsigned *out) {
            __shared__ unsigned vote;
            if (threadIdx.x < 32) {
                unsigned found = __ballot(threadIdx.x & 1);
                if (threadIdx.x == 7) vote = found;
            }
            __syncthreads();
            out[threadIdx.x] = vote + __popc(vote);
        }""",
        [out],
        block=(96,),
        order=order,
    )
    assert set(out.tolist()) == {0xAAAAAAAA + 16}


@ORDERS
def test_barriers_in_a_loop(launch, order):
    """A prefix sum of 256 values by doubling."""
    x = np.arange(256, dtype=np.int32) % 7
    expected = np.cumsum(x)
    launch(
        """__global__ void k(int *x) {
            extern __shared__ int part[];
            int i = threadIdx.x;
            part[i] = x[i];
            __syncthreads();
            for (int step = 1; step < blockDim.x; step *= 2) {
                int more = i >= step ? part[i - step] : 0;
                __syncthreads();
                part[i] += more;
                __syncthreads();
            }
            x[i] = part[i];
        }""",
        [x],
        block=(256,),
        shared=1024,
        order=order,
    )
    np.testing.assert_array_equal(x, expected)


def test_lanes_read_before_one_of_them_writes(launch):
    """The GPUs before Volta run a warp in lockstep; neon's second reduction relies on it."""
    out = np.zeros((2, 32), np.int32)
    launch(
        """__global__ void k(int *out) {
            __shared__ int part[32];
            int i = threadIdx.x;
            part[i] = i;
            __syncthreads();
            int seen = part[31 - i];
            part[i] = seen + 100;
            out[i] = seen;
            out[32 + i] = part[i];
        }""",
        [out],
    )
    np.testing.assert_array_equal(out, [np.arange(32)[::-1], np.arange(32)[::-1] + 100])


def test_shared_memory_is_unset_in_every_block(launch):
    out = np.zeros((2, 4), np.float32)
    launch(
        """__global__ void k(float *out) {
            __shared__ float kept[4];
            extern __shared__ float given[];
            if (threadIdx.x < 2) kept[threadIdx.x] = 1;
            given[threadIdx.x / 2] = 2;
            __syncthreads();
            out[4 * blockIdx.x + threadIdx.x] = kept[threadIdx.x] + given[threadIdx.x % 2];
        }""",
        [out],
        grid=(2,),
        block=(4,),
        shared=8,
    )
    assert np.isnan(out[:, 2:]).all()
    assert (out[:, :2] == 3).all()
