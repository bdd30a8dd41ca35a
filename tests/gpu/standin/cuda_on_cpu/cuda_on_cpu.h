// CUDA C on a CPU: what the kernels of a module are compiled against (docs/gpu-on-cpu.md).
//
// How threads take turns is in fibers.h and threads.h, shifts and registers are in arithmetic.h.
#pragma once
#include "arithmetic.h"
#include "threads.h"

#include <stdlib.h>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
// In a section of its own, so that it can be filled with NaN before each block.
#define __shared__ static __attribute__((section("cuda_shared")))

struct alignas(8) int2 {
    int x, y;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline int2 make_int2(int x, int y) { return int2{x, y}; }
inline float2 make_float2(float x, float y) { return float2{x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return int4{x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

namespace cuda_on_cpu {

// Calls a kernel with its arguments, which lie at the addresses in an array.
template <class Signature>
struct Caller;
template <class... A>
struct Caller<void(A...)> {
    template <void (*kernel)(A...), size_t... I>
    static void call(void** values, std::index_sequence<I...>) {
        kernel(*(A*)values[I]...);
    }
    template <void (*kernel)(A...)>
    static void all(void** values) {
        call<kernel>(values, std::index_sequence_for<A...>());
    }
    // The sizes of the arguments, ended by 0.
    static const int* sizes() {
        static const int values[] = {(int)sizeof(A)..., 0};
        return values;
    }
};

}  // namespace cuda_on_cpu

#define threadIdx (cuda_on_cpu::current->index)
#define blockIdx (cuda_on_cpu::block_index)
#define blockDim (cuda_on_cpu::block_size)
#define gridDim (cuda_on_cpu::grid_size)
#define warpSize 32
#define __syncthreads() cuda_on_cpu::barrier(__COUNTER__)
#define CUDA_ON_CPU_SHUFFLE(kind, value, lane, width, ...) \
    cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::kind, value, lane, width)
#define CUDA_ON_CPU_SHUFFLE_SYNC(kind, mask, value, lane, width, ...) \
    cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::kind, value, lane, width, mask)
#if CUDA_ON_CPU_MAJOR < 7
#define CUDA_ON_CPU_JOIN cuda_on_cpu::join(__COUNTER__)
#define CUDA_ON_CPU_TURN cuda_on_cpu::turn(__COUNTER__)
#define __shfl(...) CUDA_ON_CPU_SHUFFLE(SHFL, __VA_ARGS__, 32, )
#define __shfl_xor(...) CUDA_ON_CPU_SHUFFLE(SHFL_XOR, __VA_ARGS__, 32, )
#define __shfl_up(...) CUDA_ON_CPU_SHUFFLE(SHFL_UP, __VA_ARGS__, 32, )
#define __shfl_down(...) CUDA_ON_CPU_SHUFFLE(SHFL_DOWN, __VA_ARGS__, 32, )
#define __ballot(condition) \
    cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::BALLOT, (unsigned)!!(condition), 0, 32)
#define __any(condition) (__ballot(condition) != 0)
#else
// Lanes are not in lockstep, and nothing brings them together but what names them.
#define CUDA_ON_CPU_JOIN (void)0
#define CUDA_ON_CPU_TURN (void)0
#define __shfl_sync(...) CUDA_ON_CPU_SHUFFLE_SYNC(SHFL, __VA_ARGS__, 32, )
#define __shfl_xor_sync(...) CUDA_ON_CPU_SHUFFLE_SYNC(SHFL_XOR, __VA_ARGS__, 32, )
#define __ballot_sync(mask, condition)                                                            \
    cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::BALLOT, (unsigned)!!(condition), 0, 32, \
                                mask)
#endif
#define __popc(bits) __builtin_popcount(bits)
#define __clz(bits) ((bits) ? __builtin_clz(bits) : 32)
#define __ffs(bits) __builtin_ffs(bits)

template <class T>
inline T __ldg(const T* address) {
    return *address;
}
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }

// One thread runs at a time, so that a plain operation is an atomic one.
#define CUDA_ON_CPU_ATOMIC(name, result) \
    template <class T>                   \
    inline T name(T* address, T value) { \
        T old = *address;                \
        *address = result;               \
        return old;                      \
    }
CUDA_ON_CPU_ATOMIC(atomicAdd, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, old - value)
CUDA_ON_CPU_ATOMIC(atomicExch, value)
CUDA_ON_CPU_ATOMIC(atomicMax, value > old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicMin, value < old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicAnd, old& value)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value)
CUDA_ON_CPU_ATOMIC(atomicXor, old ^ value)
template <class T>
inline T atomicCAS(T* address, T compare, T value) {
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

#define CUDA_ON_CPU_KERNEL(name)                                                                  \
    extern "C" __attribute__((visibility("default"))) int launch_##name(                          \
        void** values, cuda_on_cpu::Launch* how) {                                                \
        return cuda_on_cpu::launch(&cuda_on_cpu::Caller<decltype(name)>::all<name>, values, how); \
    }                                                                                             \
    extern "C" __attribute__((visibility("default"))) const int* sizes_##name() {                 \
        return cuda_on_cpu::Caller<decltype(name)>::sizes();                                      \
    }
#define CUDA_ON_CPU_END                                                          \
    static const int cuda_on_cpu_sites = __COUNTER__;                            \
    static_assert(cuda_on_cpu_sites < cuda_on_cpu::MAX_SITES,                    \
                  "more barriers and warp operations than the stand-in counts"); \
    int cuda_on_cpu::number_of_sites() { return cuda_on_cpu_sites; }
