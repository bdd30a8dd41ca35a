// Threads, warps and blocks of a GPU on a CPU.
//
// A block runs at a time, and a thread of the block at a time (fibers.h). An operation of a warp is
// carried out when every lane of the warp waits at it, waits at a barrier or has ended. The lanes
// that wait at it are the active ones, as on the GPUs before Volta.
// What CUDA leaves undefined ends the launch with a message.
#pragma once
#include "fibers.h"

namespace cuda_on_cpu {

// The lane whose value a lane receives.
inline int source_lane(const Thread& thread, int lane) {
    int width = thread.width, first = lane & ~(width - 1), source = lane;
    switch (thread.operation) {
        case SHFL:
            return first | (thread.argument & (width - 1));
        case SHFL_XOR:
            source = lane ^ thread.argument;
            break;
        case SHFL_UP:
            source = lane - thread.argument;
            break;
        default:
            source = lane + thread.argument;
    }
    return source >= first && source < first + width ? source : lane;
}

// Let the lanes go on that wait for their warp's turn; false where none does.
inline bool pass_turn(Thread* warp, int lanes) {
    bool any = false;
    for (int lane = 0; lane < lanes; lane++) {
        Thread& thread = warp[lane];
        if (thread.state != AT_WARP_OPERATION || thread.operation != TURN) continue;
        thread.state = READY;
        any = true;
    }
    return any;
}

// Let the lanes go on that wait to be joined at the first such place in the source: those behind it
// have all arrived.
inline bool pass_join(Thread* warp, int lanes) {
    int site = MAX_SITES;
    for (int lane = 0; lane < lanes; lane++)
        if (warp[lane].state == AT_WARP_OPERATION && warp[lane].site < site) site = warp[lane].site;
    for (int lane = 0; lane < lanes; lane++)
        if (warp[lane].state == AT_WARP_OPERATION && warp[lane].site == site)
            warp[lane].state = READY;
    return site < MAX_SITES;
}

// Carry out the operation that lanes of a warp wait at; false where none does.
inline bool carry_out(Thread* warp, int lanes) {
    if (pass_turn(warp, lanes)) return true;
    Thread* first = nullptr;
    uint32_t active = 0, ballot = 0;
    for (int lane = 0; lane < lanes; lane++) {
        Thread& thread = warp[lane];
        if (thread.state != AT_WARP_OPERATION || thread.operation == JOIN) continue;
        current = &thread;
        if (!first) first = &thread;
        if (thread.site != first->site) {
            refuse("lanes of a warp wait at different warp operations");
            return false;
        }
        if (thread.width < 1 || thread.width > WARP_SIZE || (thread.width & (thread.width - 1))) {
            refuse("a shuffle's width is not a power of two up to 32");
            return false;
        }
        active |= 1u << lane;
        if (thread.value) ballot |= 1u << lane;
    }
    if (!first) return pass_join(warp, lanes);
    for (int lane = 0; lane < lanes; lane++) {
        Thread& thread = warp[lane];
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
            if (!(active >> source & 1)) {
                refuse("a shuffle reads a lane that takes no part in it");
                return false;
            }
            thread.result = warp[source].value;
        }
    }
    for (int lane = 0; lane < lanes; lane++)
        if (active >> lane & 1) warp[lane].state = READY;
    return true;
}

// Run the lanes of a warp that can run, then carry out what they wait for; false where the warp
// waits at a barrier or is done.
inline bool advance(Thread* warp, int lanes) {
    for (int i = 0; i < lanes; i++) {
        Thread* thread = warp + (launched->order == BACKWARDS ? lanes - 1 - i : i);
        if (thread->state == NEW || thread->state == READY) run(thread);
        if (launched->message[0]) return false;
    }
    return carry_out(warp, lanes);
}

// Let the threads that wait at a barrier go on; false where none does.
inline bool pass_barrier(int count) {
    Thread* first = nullptr;
    for (int i = 0; i < count; i++) {
        Thread& thread = threads[i];
        if (thread.state != AT_BARRIER) continue;
        current = &thread;
        if (!first) first = &thread;
        if (thread.site != first->site ||
            thread.visits[thread.site] != first->visits[thread.site]) {
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

inline int launch(void (*kernel)(void**), void** values, Launch* launch) {
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
        threads[i].index = uint3{i % block_size.x, i / block_size.x % block_size.y,
                                 i / block_size.x / block_size.y};
    uint64_t blocks = (uint64_t)grid_size.x * grid_size.y * grid_size.z;
    for (uint64_t i = 0; i < blocks && !launch->message[0]; i++) {
        uint64_t block = launch->order == BACKWARDS ? blocks - 1 - i : i;
        block_index =
            uint3{(unsigned)(block % grid_size.x), (unsigned)(block / grid_size.x % grid_size.y),
                  (unsigned)(block / grid_size.x / grid_size.y)};
        run_block(count);
    }
    return launch->message[0] != 0;
}

}  // namespace cuda_on_cpu
