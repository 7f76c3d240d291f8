// Runs kernels for CUDA on the processor, block by block: each thread of a block is a fiber, and fibers take turns
// wherever threads exchange values or wait for one another. Threads of a warp that wait in different places
// end the program.

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __global__
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)
#define INLINE inline
#define UNROLL
#define AT(place)
#define UNROLL_BY(count)
#define SHARED(name) char* name = emulated.shared

struct Size { int x; };
static Size threadIdx, blockIdx, blockDim, gridDim;

enum Place { RUNNING, WARP, BLOCK, ENDED };
struct Fiber {
    ucontext_t context;
    Place place;
    std::vector<char> stack;
    double given[2];
    int exchanges;
};
static struct {
    std::vector<Fiber> fibers;
    ucontext_t scheduler;
    char* shared;
    void (*body)();
} emulated;

__attribute__((noinline)) static void wait_at(Place place) {
    Fiber& fiber = emulated.fibers[threadIdx.x];
    fiber.place = place;
    swapcontext(&fiber.context, &emulated.scheduler);
}
static void begin() {
    emulated.body();
    emulated.fibers[threadIdx.x].place = ENDED;
}

// A value is read before its fiber can be two exchanges further on: two places for it are enough.
template <class T> __attribute__((noinline)) T exchanged(T value, int from) {
    Fiber& fiber = emulated.fibers[threadIdx.x];
    const int first = threadIdx.x & ~31, slot = fiber.exchanges++ & 1;
    std::memcpy(&fiber.given[slot], &value, sizeof value);
    wait_at(WARP);
    std::memcpy(&value, &emulated.fibers[first + from].given[slot], sizeof value);
    return value;
}
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) { return exchanged(value, (threadIdx.x & 31) ^ mask); }
template <class T> T __shfl_sync(unsigned, T value, int lane) { return exchanged(value, lane); }
inline void __syncwarp() { wait_at(WARP); }
inline void __syncthreads() { wait_at(BLOCK); }
inline void __threadfence() {}
inline int atomicAdd(int* at, int value) { return (*at += value) - value; }

static void run_block() {
    for (;;) {
        int waiting = 0, ended = 0;
        const int threads = blockDim.x;
        for (int first = 0; first < threads; first += 32) {
            const Place place = emulated.fibers[first].place;
            for (int lane = 0; lane < 32; lane++)
                if (emulated.fibers[first + lane].place != place) {
                    std::fprintf(stderr, "threads of a warp wait in different places\n");
                    std::abort();
                }
            if (place == BLOCK) waiting += 32;
            else if (place == ENDED) ended += 32;
            else
                for (int lane = 0; lane < 32; lane++) {
                    threadIdx.x = first + lane;
                    swapcontext(&emulated.scheduler, &emulated.fibers[first + lane].context);
                }
        }
        if (ended == threads) return;
        if (waiting + ended == threads)
            for (Fiber& fiber : emulated.fibers)
                if (fiber.place == BLOCK) fiber.place = RUNNING;
    }
}

// Runs a kernel on `grid` blocks; false if it wrote past its shared memory.
static bool run(void (*body)(), int grid, int block, int shared) {
    std::vector<char> memory(shared + 64, 0x55);
    emulated.shared = reinterpret_cast<char*>((reinterpret_cast<size_t>(memory.data()) + 15) & ~size_t(15));
    emulated.body = body;
    emulated.fibers.resize(block);
    gridDim.x = grid;
    blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++) {
        for (Fiber& fiber : emulated.fibers) {
            fiber.stack.resize(1 << 17);
            fiber.place = RUNNING;
            fiber.exchanges = 0;
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.data();
            fiber.context.uc_stack.ss_size = fiber.stack.size();
            fiber.context.uc_link = &emulated.scheduler;
            makecontext(&fiber.context, begin, 0);
        }
        run_block();
    }
    for (char* at = emulated.shared + shared; at < memory.data() + memory.size(); at++)
        if (*at != 0x55) return false;
    return true;
}
