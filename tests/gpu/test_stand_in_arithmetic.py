"""The arithmetic of the stand-in: atomics, shifts and assembly, in small kernels of our own."""

import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    shutil.which('g++') is None,
    reason='kernels are compiled by g++, which is not here: install g++',
)


def test_atomics_return_what_was_there(launch):
    counters, out = np.array([5, 5, 5, 9, 0], np.int32), np.zeros((4, 32), np.int32)
    launch(
        """__global__ void k(int *counters, int *out) {
            int i = threadIdx.x;
            out[i] = atomicAdd(counters, 1);
            out[32 + i] = atomicMax(counters + 1, i);
            out[64 + i] = atomicExch(counters + 2, i);
            out[96 + i] = atomicCAS(counters + 3, 9, i);
            atomicMin(counters + 4, -i);
        }""",
        [counters, out],
    )
    assert sorted(out[0].tolist()) == list(range(5, 37))
    assert sorted([*out[2].tolist(), int(counters[2])]) == sorted([5, *range(32)])
    assert (out[3] == 9).sum() == 1
    assert counters[[0, 1, 4]].tolist() == [37, 31, -31]


def test_shifts_by_the_width_and_more(launch):
    """They shift everything out, as the GPU does; the processor would not."""
    by, out = np.array([0, 1, 31, 32, 33, 64], np.int32), np.zeros((6, 4), np.int64)
    launch(
        """__global__ void k(int *by, long long *out) {
            int s = by[threadIdx.x], value = -12345;
            unsigned bits = 0xdeadbeef;
            long long *row = out + 4 * threadIdx.x;
            row[0] = value >> s;
            row[1] = bits >> s;
            row[2] = value << s;
            bits <<= s;
            row[3] = bits + (1 << 3);
        }""",
        [by, out],
        block=(6,),
    )
    for amount, row in zip(by.tolist(), out.tolist(), strict=True):
        wrapped = (-12345 << amount) & 0xFFFFFFFF if amount < 32 else 0
        wrapped -= (wrapped >> 31) << 32
        left = (0xDEADBEEF << amount) & 0xFFFFFFFF if amount < 32 else 0
        assert row == [-12345 >> amount, 0xDEADBEEF >> amount, wrapped, (left + 8) & 0xFFFFFFFF]


def test_assembly_of_integers(launch):
    """vmad in the four forms of neon's pooling, absolute value, maximum, division by a constant."""
    values = np.array([70000, 3, -9, 1431655766], np.int32)
    out = np.zeros(8, np.int32)
    launch(
        r"""__global__ void k(int *v, int *out) {
            int a = v[0], b = v[1], c = v[2], magic = v[3], shift = 0, r, high = 4;
            asm("vmad.s32.u32.u32 %0, %1.h0, %2.h0, 0;" : "=r"(r) : "r"(a), "r"(b)); out[0] = r;
            asm("vmad.s32.u32.u32 %0, -%1.h0, %2.h0, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
            out[1] = r;
            asm("vmad.s32.u32.u32 %0, %1.h0, %2.h0, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
            out[2] = r;
            asm("vmad.s32.u32.u32 %0, %1.h0, %2.h0, -%3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
            out[3] = r;
            asm("{\n\t" ".reg .s32 part;\n\t" "abs.s32 part, %1;\n\t"
                "max.s32 %0, %0, part;\n\t" "}"
                : "+r"(high) : "r"(c)); out[4] = high;
            asm("{\n\t" ".reg .pred p;\n\t" ".reg .u64 wide;\n\t" ".reg .u32 low, upper;\n\t"
                "setp.ne.s32 p, %2, 1;\n\t" "mul.wide.u32 wide, %1, %2;\n\t"
                "mov.b64 {low, upper}, wide;\n\t"
                "selp.u32 upper, upper, %1, p;\n\t" "shr.u32 %0, upper, %3;\n\t" "}"
                : "=r"(r) : "r"(a), "r"(magic), "r"(shift)); out[5] = r;
            asm("min.s32 %0, %1, %2;" : "=r"(r) : "r"(b), "r"(c)); out[6] = r;
        }""",
        [values, out],
        block=(1,),
    )
    half = 70000 & 0xFFFF
    assert out[:7].tolist() == [
        half * 3,
        -half * 3 - 9,
        half * 3 - 9,
        half * 3 + 9,
        9,
        70000 // 3,
        -9,
    ]


def test_assembly_of_floats(launch):
    """A random integer as a float from 0 to 1, rounding with saturation, finite numbers."""
    x = np.array([0.5, 1.5, -2.5, 300.7, -1e20, np.nan, np.inf], np.float32)
    out, rounded = np.zeros((2, 7), np.float32), np.zeros((3, 7), np.int32)
    launch(
        r"""__global__ void k(float *x, float *out, int *rounded) {
            int i = threadIdx.x, r;
            unsigned bits = 0x80000000u + i;
            float f;
            asm("cvt.rn.f32.u32 %0, %1;\n\t" "mul.f32 %0, %0, 0F2f800000;" : "=f"(f) : "r"(bits));
            out[i] = f;
            asm("{\n\t" ".reg .pred fine;\n\t" "testp.finite.f32 fine, %1;\n\t"
                "selp.f32 %0, 0F3f800000, 0F00000000, fine;\n\t" "}" : "=f"(f) : "f"(x[i]));
            out[7 + i] = f;
            asm("cvt.rni.s32.f32 %0, %1;" : "=r"(r) : "f"(x[i])); rounded[i] = r;
            asm("cvt.rni.u8.f32 %0, %1;" : "=r"(r) : "f"(x[i])); rounded[7 + i] = r;
            asm("cvt.rni.s8.f32 %0, %1;" : "=r"(r) : "f"(x[i])); rounded[14 + i] = r;
        }""",
        [x, out, rounded],
        block=(7,),
    )
    assert (out[0] == 0.5).all()
    assert out[1].tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert rounded[0].tolist() == [0, 2, -2, 301, -(2**31), 0, 2**31 - 1]
    assert rounded[1].tolist() == [0, 2, 0, 255, 0, 0, 255]
    assert rounded[2].tolist() == [0, 2, -2, 127, -128, 0, 127]
