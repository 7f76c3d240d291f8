// CUDA C++ on the CPU: the blocks of a grid one after the other, the threads of a block in turn, each as far as its
// next barrier. QUINR_BACKWARDS in the environment takes the threads in reverse: what depends on their order, because
// a barrier is missing, shows.
#pragma once
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __constant__ static
#define __grid_constant__
#define __launch_bounds__(...)
#define __restrict__

struct int2 {
    int x, y;
};
struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

using std::cos;
using std::exp;
using std::exp2;
using std::fabs;
using std::floor;
using std::fma;
using std::log;
using std::log2;
using std::sin;
using std::sqrt;
using std::tanh;
template <class T>
T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
    return a < b ? b : a;
}
inline void sincosf(float x, float *sine, float *cosine) { *sine = std::sin(x), *cosine = std::cos(x); }
inline void sincos(double x, double *sine, double *cosine) { *sine = std::sin(x), *cosine = std::cos(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((std::uint64_t(a) * b) >> 32); }
template <class T>
T __ldg(const T *at) {
    return *at;
}

namespace emulation {

constexpr unsigned WARP = 32;
constexpr std::size_t STACK = 128 << 10, GUARD = 64;

struct Thread {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(STACK);
    dim3 index;
    bool ended;
    std::size_t block_barriers, warp_barriers;
    char word[16];  // what it hands to others of its warp
};

inline ucontext_t scheduler;
inline std::vector<Thread> threads;
inline unsigned count, current;
inline const std::function<void()> *body;
inline std::vector<char> dynamic;

inline void run_thread() {
    (*body)();
    threads[current].ended = true;
    swapcontext(&threads[current].context, &scheduler);
}

inline void wait(std::size_t Thread::*barriers, unsigned first, unsigned last) {
    const std::size_t mine = ++(threads[current].*barriers);
    for (bool all = false; !all;) {
        all = true;
        for (unsigned i = first; i < last; ++i) all &= threads[i].ended || threads[i].*barriers >= mine;
        if (!all) swapcontext(&threads[current].context, &scheduler);
    }
}

inline void block_barrier() { wait(&Thread::block_barriers, 0, count); }

inline void warp_barrier() {
    const unsigned first = current / WARP * WARP;
    wait(&Thread::warp_barriers, first, std::min(first + WARP, count));
}

template <class T>
T from_lane(T value, unsigned lane) {
    std::memcpy(threads[current].word, &value, sizeof value);
    warp_barrier();
    const unsigned other = current / WARP * WARP + lane % WARP;
    if (other < count) std::memcpy(&value, threads[other].word, sizeof value);
    warp_barrier();
    return value;
}

inline void run_block(const std::function<void()> &kernel, bool backwards) {
    body = &kernel;
    for (unsigned i = 0; i < count; ++i) {
        Thread &thread = threads[i];
        thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        thread.ended = false;
        thread.block_barriers = thread.warp_barriers = 0;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = STACK;
        thread.context.uc_link = nullptr;
        makecontext(&thread.context, run_thread, 0);
    }
    for (bool running = true; running;) {
        running = false;
        for (unsigned i = 0; i < count; ++i) {
            current = backwards ? count - 1 - i : i;
            if (threads[current].ended) continue;
            running = true;
            threadIdx = threads[current].index;
            swapcontext(&scheduler, &threads[current].context);
        }
    }
}

inline void run_grid(const unsigned *sizes, std::size_t shared, const std::function<void()> &kernel) {
    gridDim = {sizes[0], sizes[1], sizes[2]};
    blockDim = {sizes[3], sizes[4], sizes[5]};
    count = blockDim.x * blockDim.y * blockDim.z;
    if (threads.size() < count) threads = std::vector<Thread>(count);
    dynamic.assign(shared + GUARD, 0x7f);
    const bool backwards = std::getenv("QUINR_BACKWARDS");
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) run_block(kernel, backwards);
    for (std::size_t i = shared; i < dynamic.size(); ++i)
        if (dynamic[i] != 0x7f) {
            std::fprintf(stderr, "a kernel wrote past its dynamic shared memory\n");
            std::abort();
        }
}

template <class... A, std::size_t... I>
void launch(void (*kernel)(A...), const unsigned *sizes, std::size_t shared, void **words, std::index_sequence<I...>) {
    run_grid(sizes, shared, [&] { kernel(*static_cast<std::remove_reference_t<A> *>(words[I])...); });
}

template <class... A>
void launch(void (*kernel)(A...), const unsigned *sizes, std::size_t shared, void **words) {
    launch(kernel, sizes, shared, words, std::index_sequence_for<A...>());
}

}  // namespace emulation

inline void __threadfence() {}
inline int atomicAdd(int *at, int value) { return (*at += value) - value; }
inline void __syncthreads() { emulation::block_barrier(); }
inline void __syncwarp(unsigned = ~0u) { emulation::warp_barrier(); }
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    return emulation::from_lane(value, lane);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulation::from_lane(value, emulation::current % emulation::WARP ^ mask);
}
template <class T>
T __shfl_down_sync(unsigned, T value, int lanes) {
    const unsigned lane = emulation::current % emulation::WARP + lanes;
    return emulation::from_lane(value, lane < emulation::WARP ? lane : emulation::current % emulation::WARP);
}
