// A thread of a GPU as a fiber: it runs until it meets a barrier or an operation of its warp.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct uint3 {
    unsigned x, y, z;
};

// Save the registers that a function has to preserve and the stack; go on with another stack.
extern "C" __attribute__((visibility("hidden"))) void cuda_on_cpu_switch(void** from, void* to);
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

extern "C" __attribute__((weak, visibility("hidden"))) char __start_cuda_shared[],
    __stop_cuda_shared[];

namespace cuda_on_cpu {

enum {
    WARP_SIZE = 32,
    MAX_THREADS = 1024,
    MAX_SITES = 64,
    STACK = 65536,
    MAX_SHARED = 49152,
    MESSAGE = 256
};
enum State { NEW, READY, AT_BARRIER, AT_WARP_OPERATION, DONE };
// In turn: every warp goes to its next operation, then every warp to the one after it, much as
// warps do that share a multiprocessor. The others show races: in the opposite order, and each warp
// as far as the next barrier at once.
enum Order { IN_TURN, BACKWARDS, GREEDY };
enum Operation { TURN, JOIN, SHFL, SHFL_XOR, SHFL_UP, SHFL_DOWN, BALLOT };

// How a kernel is launched; the same layout in compiler.py.
struct Launch {
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    int order;
    char* stacks;  // MAX_THREADS of STACK bytes
    char message[MESSAGE];
};

struct Thread {
    uint3 index;
    State state;
    void* stack_pointer;
    char* stack;
    int site;  // the place in the source that it waits at
    Operation operation;
    uint32_t value, result;
    int argument, width;
    uint32_t mask;  // the lanes that are named, on Volta and later
    unsigned visits[MAX_SITES];
};

Thread threads[MAX_THREADS];
Thread* current;
uint3 block_index, block_size, grid_size;
void* scheduler;
void (*body)(void**);
void** arguments;
char* free_stacks[MAX_THREADS];
int free_count;
Launch* launched;
int number_of_sites();
alignas(16) char dynamic_shared[MAX_SHARED];

inline void refuse(const char* what) {
    if (!launched->message[0])
        snprintf(launched->message, MESSAGE, "block (%u, %u, %u), thread (%u, %u, %u): %s",
                 block_index.x, block_index.y, block_index.z, current->index.x, current->index.y,
                 current->index.z, what);
}

inline void wait(State state, int site) {
    current->state = state;
    current->site = site;
    current->visits[site]++;
    cuda_on_cpu_switch(&current->stack_pointer, scheduler);
}

inline void barrier(int site) { wait(AT_BARRIER, site); }

template <class T>
inline T warp_operation(int site, Operation operation, T value, int argument, int width,
                        uint32_t mask = 0) {
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

// Before a write to shared memory: the lanes of a warp run in lockstep on the GPUs before Volta, so
// that all of them have read before one of them writes. neon's reductions rely on it.
inline void turn(int site) { warp_operation(site, TURN, 0u, 0, WARP_SIZE); }

// Behind a condition or a loop that may part a warp (divergence.py).
inline void join(int site) { warp_operation(site, JOIN, 0u, 0, WARP_SIZE); }

inline void start_thread() {
    body(arguments);
    current->state = DONE;
    free_stacks[free_count++] = current->stack;
    cuda_on_cpu_switch(&current->stack_pointer, scheduler);
}

inline void run(Thread* thread) {
    current = thread;
    if (thread->state == NEW) {
        thread->stack = free_stacks[--free_count];
        void** top = (void**)(thread->stack + STACK);
        *--top = nullptr;  // where start_thread would return to; it does not
        *--top = (void*)&start_thread;
        thread->stack_pointer = top - 6;  // the six registers, whatever they hold
    }
    thread->state = READY;
    cuda_on_cpu_switch(&scheduler, thread->stack_pointer);
}

}  // namespace cuda_on_cpu
