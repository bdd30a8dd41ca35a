// CUDA C on a CPU: what the kernels of a module are compiled against (docs/gpu-on-cpu.md).
//
// A block runs at a time, and a thread of the block at a time. A thread is a fiber: it runs until it meets a barrier or an
// operation of its warp, then the next one runs. An operation of a warp is carried out when every lane of the warp waits at
// it, waits at a barrier or has ended; the lanes that wait at it are the active ones, as on the GPUs before Volta.
// What CUDA leaves undefined ends the launch with a message.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
// In a section of its own, so that it can be filled with NaN before each block.
#define __shared__ static __attribute__((section("cuda_shared")))

struct uint3 { unsigned x, y, z; };
struct alignas(8) int2 { int x, y; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
inline int2 make_int2(int x, int y) { return int2{x, y}; }
inline float2 make_float2(float x, float y) { return float2{x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return int4{x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

// Save the registers that a function has to preserve and the stack; go on with another stack.
extern "C" __attribute__((visibility("hidden"))) void cuda_on_cpu_switch(void **from, void *to);
asm(R"(
.text
.hidden cuda_on_cpu_switch
.globl cuda_on_cpu_switch
.type cuda_on_cpu_switch, @function
cuda_on_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

extern "C" __attribute__((weak, visibility("hidden"))) char __start_cuda_shared[], __stop_cuda_shared[];

namespace cuda_on_cpu {

enum { WARP_SIZE = 32, MAX_THREADS = 1024, MAX_SITES = 64, STACK = 65536, MAX_SHARED = 49152, MESSAGE = 256 };
enum State { NEW, READY, AT_BARRIER, AT_WARP_OPERATION, DONE };
// In turn: every warp goes to its next operation, then every warp to the one after it, much as warps do that share a
// multiprocessor. The others show races: in the opposite order, and each warp as far as the next barrier at once.
enum Order { IN_TURN, BACKWARDS, GREEDY };
enum Operation { TURN, JOIN, SHFL, SHFL_XOR, SHFL_UP, SHFL_DOWN, BALLOT };

// How a kernel is launched; the same layout in compiler.py.
struct Launch {
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    int order;
    char *stacks;   // MAX_THREADS of STACK bytes
    char message[MESSAGE];
};

struct Thread {
    uint3 index;
    State state;
    void *stack_pointer;
    char *stack;
    int site;              // the place in the source that it waits at
    Operation operation;
    uint32_t value, result;
    int argument, width;
    uint32_t mask;  // the lanes that are named, on Volta and later
    unsigned visits[MAX_SITES];
};

Thread threads[MAX_THREADS];
Thread *current;
uint3 block_index, block_size, grid_size;
void *scheduler;
void (*body)(void **);
void **arguments;
char *free_stacks[MAX_THREADS];
int free_count;
Launch *launched;
int number_of_sites();
alignas(16) char dynamic_shared[MAX_SHARED];

inline void refuse(const char *what) {
    if (!launched->message[0])
        snprintf(launched->message, MESSAGE, "block (%u, %u, %u), thread (%u, %u, %u): %s", block_index.x, block_index.y,
                 block_index.z, current->index.x, current->index.y, current->index.z, what);
}

inline void wait(State state, int site) {
    current->state = state;
    current->site = site;
    current->visits[site]++;
    cuda_on_cpu_switch(&current->stack_pointer, scheduler);
}

inline void barrier(int site) { wait(AT_BARRIER, site); }

template <class T>
inline T warp_operation(int site, Operation operation, T value, int argument, int width, uint32_t mask = 0) {
    static_assert(sizeof(T) == 4, "the stand-in's warp operations take values of four bytes");
    memcpy(&current->value, &value, 4);
    current->operation = operation;
    current->argument = argument;
    current->width = width;
    current->mask = mask;
    wait(AT_WARP_OPERATION, site);
    T result;
    memcpy(&result, &current->result, 4);
    return result;
}

// Before a write to shared memory: the lanes of a warp run in lockstep on the GPUs before Volta, so that all of them have
// read before one of them writes. neon's reductions rely on it.
inline void turn(int site) { warp_operation(site, TURN, 0u, 0, WARP_SIZE); }

// Behind a condition or a loop that may part a warp (divergence.py).
inline void join(int site) { warp_operation(site, JOIN, 0u, 0, WARP_SIZE); }

inline void start_thread() {
    body(arguments);
    current->state = DONE;
    free_stacks[free_count++] = current->stack;
    cuda_on_cpu_switch(&current->stack_pointer, scheduler);
}

inline void run(Thread *thread) {
    current = thread;
    if (thread->state == NEW) {
        thread->stack = free_stacks[--free_count];
        void **top = (void **)(thread->stack + STACK);
        *--top = nullptr;                  // where start_thread would return to; it does not
        *--top = (void *)&start_thread;
        thread->stack_pointer = top - 6;   // the six registers, whatever they hold
    }
    thread->state = READY;
    cuda_on_cpu_switch(&scheduler, thread->stack_pointer);
}

// The lane whose value a lane receives.
inline int source_lane(const Thread &thread, int lane) {
    int width = thread.width, first = lane & ~(width - 1), source = lane;
    switch (thread.operation) {
        case SHFL: return first | (thread.argument & (width - 1));
        case SHFL_XOR: source = lane ^ thread.argument; break;
        case SHFL_UP: source = lane - thread.argument; break;
        default: source = lane + thread.argument;
    }
    return source >= first && source < first + width ? source : lane;
}

// Let the lanes go on that wait for their warp's turn; false where none does.
inline bool pass_turn(Thread *warp, int lanes) {
    bool any = false;
    for (int lane = 0; lane < lanes; lane++) {
        Thread &thread = warp[lane];
        if (thread.state != AT_WARP_OPERATION || thread.operation != TURN) continue;
        thread.state = READY;
        any = true;
    }
    return any;
}

// Let the lanes go on that wait to be joined at the first such place in the source: those behind it have all arrived.
inline bool pass_join(Thread *warp, int lanes) {
    int site = MAX_SITES;
    for (int lane = 0; lane < lanes; lane++)
        if (warp[lane].state == AT_WARP_OPERATION && warp[lane].site < site) site = warp[lane].site;
    for (int lane = 0; lane < lanes; lane++)
        if (warp[lane].state == AT_WARP_OPERATION && warp[lane].site == site) warp[lane].state = READY;
    return site < MAX_SITES;
}

// Carry out the operation that lanes of a warp wait at; false where none does.
inline bool carry_out(Thread *warp, int lanes) {
    if (pass_turn(warp, lanes)) return true;
    Thread *first = nullptr;
    uint32_t active = 0, ballot = 0;
    for (int lane = 0; lane < lanes; lane++) {
        Thread &thread = warp[lane];
        if (thread.state != AT_WARP_OPERATION || thread.operation == JOIN) continue;
        current = &thread;
        if (!first) first = &thread;
        if (thread.site != first->site) { refuse("lanes of a warp wait at different warp operations"); return false; }
        if (thread.width < 1 || thread.width > WARP_SIZE || (thread.width & (thread.width - 1))) {
            refuse("a shuffle's width is not a power of two up to 32");
            return false;
        }
        active |= 1u << lane;
        if (thread.value) ballot |= 1u << lane;
    }
    if (!first) return pass_join(warp, lanes);
    for (int lane = 0; lane < lanes; lane++) {
        Thread &thread = warp[lane];
        if (!(active >> lane & 1)) continue;
        current = &thread;
        if (CUDA_ON_CPU_MAJOR >= 7 && thread.mask != active) {
            refuse("the mask of a warp operation names other lanes than those that take part");
            return false;
        }
        if (thread.operation == BALLOT) {
            thread.result = ballot;
        } else {
            int source = source_lane(thread, lane);
            if (!(active >> source & 1)) { refuse("a shuffle reads a lane that takes no part in it"); return false; }
            thread.result = warp[source].value;
        }
    }
    for (int lane = 0; lane < lanes; lane++)
        if (active >> lane & 1) warp[lane].state = READY;
    return true;
}

// Run the lanes of a warp that can run, then carry out what they wait for; false where the warp waits at a barrier or is done.
inline bool advance(Thread *warp, int lanes) {
    for (int i = 0; i < lanes; i++) {
        Thread *thread = warp + (launched->order == BACKWARDS ? lanes - 1 - i : i);
        if (thread->state == NEW || thread->state == READY) run(thread);
        if (launched->message[0]) return false;
    }
    return carry_out(warp, lanes);
}

// Let the threads that wait at a barrier go on; false where none does.
inline bool pass_barrier(int count) {
    Thread *first = nullptr;
    for (int i = 0; i < count; i++) {
        Thread &thread = threads[i];
        if (thread.state != AT_BARRIER) continue;
        current = &thread;
        if (!first) first = &thread;
        if (thread.site != first->site || thread.visits[thread.site] != first->visits[thread.site]) {
            refuse("threads of a block wait at different barriers");
            return false;
        }
        thread.state = READY;
    }
    return first != nullptr;
}

inline void run_block(int count) {
    memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
    memset(dynamic_shared, 0xff, launched->shared_bytes);
    int warps = (count + WARP_SIZE - 1) / WARP_SIZE;
    for (int i = 0; i < count; i++) {
        threads[i].state = NEW;
        memset(threads[i].visits, 0, number_of_sites() * sizeof(unsigned));
    }
    do {
        bool more = true;
        while (more) {
            more = false;
            for (int i = 0; i < warps && !launched->message[0]; i++) {
                int first = (launched->order == BACKWARDS ? warps - 1 - i : i) * WARP_SIZE;
                int lanes = count - first < WARP_SIZE ? count - first : WARP_SIZE;
                while (advance(threads + first, lanes)) {
                    more = true;
                    if (launched->order != GREEDY) break;
                }
            }
        }
    } while (!launched->message[0] && pass_barrier(count));
}

inline int launch(void (*kernel)(void **), void **values, Launch *launch) {
    launched = launch;
    body = kernel;
    arguments = values;
    launch->message[0] = 0;
    current = threads;
    grid_size = uint3{launch->grid[0], launch->grid[1], launch->grid[2]};
    block_size = uint3{launch->block[0], launch->block[1], launch->block[2]};
    int count = block_size.x * block_size.y * block_size.z;
    for (free_count = 0; free_count < count; free_count++)
        free_stacks[free_count] = launch->stacks + (size_t)(count - 1 - free_count) * STACK;
    for (int i = 0; i < count; i++)
        threads[i].index = uint3{i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
    uint64_t blocks = (uint64_t)grid_size.x * grid_size.y * grid_size.z;
    for (uint64_t i = 0; i < blocks && !launch->message[0]; i++) {
        uint64_t block = launch->order == BACKWARDS ? blocks - 1 - i : i;
        block_index = uint3{(unsigned)(block % grid_size.x), (unsigned)(block / grid_size.x % grid_size.y),
                            (unsigned)(block / grid_size.x / grid_size.y)};
        run_block(count);
    }
    return launch->message[0] != 0;
}

// Calls a kernel with its arguments, which lie at the addresses in an array.
template <class Signature> struct Caller;
template <class... A> struct Caller<void(A...)> {
    template <void (*kernel)(A...), size_t... I>
    static void call(void **values, std::index_sequence<I...>) { kernel(*(A *)values[I]...); }
    template <void (*kernel)(A...)>
    static void all(void **values) { call<kernel>(values, std::index_sequence_for<A...>()); }
    // The sizes of the arguments, ended by 0.
    static const int *sizes() {
        static const int values[] = {(int)sizeof(A)..., 0};
        return values;
    }
};

// The amount of a shift. On the GPU one by the width of the type or more shifts everything out; in C++ it is undefined, and
// on this processor it shifts by the remainder. Every shift of a kernel is compiled with an Amount on its right.
struct Amount {
    unsigned bits;
    template <class T> explicit Amount(T value) : bits((unsigned)value) {}
    template <class T> Amount operator+(T more) const { return Amount(bits + (unsigned)more); }
    template <class T> Amount operator-(T less) const { return Amount(bits - (unsigned)less); }
    template <class T> Amount operator*(T factor) const { return Amount(bits * (unsigned)factor); }
};
#define CUDA_ON_CPU_SHIFTS(T, U, width)                                                                \
    inline T operator<<(T value, Amount by) { return by.bits < width ? (T)((U)value << by.bits) : 0; } \
    inline T operator>>(T value, Amount by) { return value >> (by.bits < width ? by.bits : width - 1) >> (by.bits < width ? 0 : 1); } \
    inline T &operator<<=(T &value, Amount by) { return value = value << by; }                          \
    inline T &operator>>=(T &value, Amount by) { return value = value >> by; }
CUDA_ON_CPU_SHIFTS(int, unsigned, 32)
CUDA_ON_CPU_SHIFTS(unsigned, unsigned, 32)
CUDA_ON_CPU_SHIFTS(long, unsigned long, 64)
CUDA_ON_CPU_SHIFTS(unsigned long, unsigned long, 64)
CUDA_ON_CPU_SHIFTS(long long, unsigned long long, 64)
CUDA_ON_CPU_SHIFTS(unsigned long long, unsigned long long, 64)

// A register of PTX, the assembly language of the GPUs.
union Register { uint16_t h; uint32_t u; int32_t s; float f; uint64_t d; bool p; };

inline float bits_as_float(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }

// Round to the nearest even integer, and to the ends of a type's range beyond it; NaN becomes 0.
inline int64_t round_within(float value, int64_t low, int64_t high) {
    if (value != value) return 0;
    double rounded = rint((double)value);
    return rounded <= low ? low : rounded >= high ? high : (int64_t)rounded;
}

// A sum or difference of the product of the lower halves of two registers and a third.
inline int32_t multiply_halves(uint32_t a, uint32_t b, bool minus_product, uint32_t c, bool minus_c) {
    uint32_t product = (a & 0xffff) * (b & 0xffff);
    return (int32_t)((minus_product ? 0u - product : product) + (minus_c ? 0u - c : c));
}

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
#define __ballot(condition) cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::BALLOT, (unsigned)!!(condition), 0, 32)
#define __any(condition) (__ballot(condition) != 0)
#else
// Lanes are not in lockstep, and nothing brings them together but what names them.
#define CUDA_ON_CPU_JOIN (void)0
#define CUDA_ON_CPU_TURN (void)0
#define __shfl_sync(...) CUDA_ON_CPU_SHUFFLE_SYNC(SHFL, __VA_ARGS__, 32, )
#define __shfl_xor_sync(...) CUDA_ON_CPU_SHUFFLE_SYNC(SHFL_XOR, __VA_ARGS__, 32, )
#define __ballot_sync(mask, condition) \
    cuda_on_cpu::warp_operation(__COUNTER__, cuda_on_cpu::BALLOT, (unsigned)!!(condition), 0, 32, mask)
#endif
#define __popc(bits) __builtin_popcount(bits)
#define __clz(bits) ((bits) ? __builtin_clz(bits) : 32)
#define __ffs(bits) __builtin_ffs(bits)

template <class T> inline T __ldg(const T *address) { return *address; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }

// One thread runs at a time, so that a plain operation is an atomic one.
#define CUDA_ON_CPU_ATOMIC(name, result) \
    template <class T> inline T name(T *address, T value) { T old = *address; *address = result; return old; }
CUDA_ON_CPU_ATOMIC(atomicAdd, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, old - value)
CUDA_ON_CPU_ATOMIC(atomicExch, value)
CUDA_ON_CPU_ATOMIC(atomicMax, value > old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicMin, value < old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicAnd, old & value)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value)
CUDA_ON_CPU_ATOMIC(atomicXor, old ^ value)
template <class T> inline T atomicCAS(T *address, T compare, T value) {
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

#define CUDA_ON_CPU_KERNEL(name)                                                                             \
    extern "C" __attribute__((visibility("default"))) int launch_##name(void **values, cuda_on_cpu::Launch *how) { \
        return cuda_on_cpu::launch(&cuda_on_cpu::Caller<decltype(name)>::all<name>, values, how);               \
    }                                                                                                          \
    extern "C" __attribute__((visibility("default"))) const int *sizes_##name() {                              \
        return cuda_on_cpu::Caller<decltype(name)>::sizes();                                                    \
    }
#define CUDA_ON_CPU_END                                                                                  \
    static const int cuda_on_cpu_sites = __COUNTER__;                                                     \
    static_assert(cuda_on_cpu_sites < cuda_on_cpu::MAX_SITES, "more barriers and warp operations than the stand-in counts"); \
    int cuda_on_cpu::number_of_sites() { return cuda_on_cpu_sites; }
