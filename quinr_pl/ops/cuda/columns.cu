// A linear function of columns, with a constant or without, and its gradients; see quinr_pl/ops/columns.py.
#include "lines.cuh"

enum { SEEN = 0, ONES = INPUTS, GIVEN = ONES + CONSTANT, LINES = GIVEN + OUTPUTS, WEIGHTS = OUTPUTS * INPUTS };

struct Columns {
    const real *at;
    long long row, column;  // strides
    int count;
};

// The columns of a block, scaled and shifted, line by line; zeros past the last one. Neighbouring threads take
// neighbouring numbers.
__device__ void read_columns(const Columns &columns, int first, Line *lines) {
    for (int i = threadIdx.x; i < INPUTS * THREADS; i += THREADS) {
        const int line = SIDE_BY_SIDE ? i % INPUTS : i / THREADS, at = SIDE_BY_SIDE ? i / INPUTS : i % THREADS;
        const bool inside = first + at < columns.count;
        const real *number = columns.at + line * columns.row + (first + at) * columns.column;
        lines[line][at] = inside ? real(SCALE) * *number + real(SHIFT) : real(0);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) combined(
    const __grid_constant__ Columns columns, const real *weight, const real *constant, real *result) {
    __shared__ real weights[OUTPUTS][INPUTS];
    alignas(16) __shared__ Line lines[INPUTS];
    for (int i = threadIdx.x; i < WEIGHTS; i += THREADS) weights[i / INPUTS][i % INPUTS] = weight[i];
    read_columns(columns, blockIdx.x * THREADS, lines);
    __syncthreads();
    const int at = blockIdx.x * THREADS + threadIdx.x;
    if (at >= columns.count) return;
    real totals[OUTPUTS];
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) totals[o] = CONSTANT ? constant[o] : real(0);
#pragma unroll
    for (int i = 0; i < INPUTS; ++i) {
        const real value = lines[i][threadIdx.x];
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) totals[o] += weights[o][i] * value;
    }
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) result[size_t(o) * columns.count + at] = totals[o];
}

// Gradients in the columns, where these are wanted, and for each block sums of those in the weights and in the constant.
extern "C" __global__ void __launch_bounds__(THREADS) of_combined(
    const __grid_constant__ Columns columns, const __grid_constant__ Columns given, const real *weight,
    real *of_columns, real *partial) {
    __shared__ real weights[OUTPUTS][INPUTS];
    alignas(16) __shared__ Line lines[LINES], received[INPUTS];
    const int thread = threadIdx.x;
    for (int i = thread; i < WEIGHTS; i += THREADS) weights[i / INPUTS][i % INPUTS] = weight[i];
    if (CONSTANT) lines[ONES][thread] = 1;
    Sums<WEIGHTS + CONSTANT * OUTPUTS> sums;
    for (int first = blockIdx.x * THREADS; first < columns.count; first += gridDim.x * THREADS) {
        __syncthreads();
        const int at = first + thread;
        const bool inside = at < columns.count;
        real of[OUTPUTS];
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) {
            of[o] = inside ? given.at[o * given.row + at * given.column] : real(0);
            lines[GIVEN + o][thread] = of[o];
        }
        read_columns(columns, first, lines + SEEN);
        if (of_columns) {
#pragma unroll
            for (int i = 0; i < INPUTS; ++i) {
                real total = 0;
#pragma unroll
                for (int o = 0; o < OUTPUTS; ++o) total += weights[o][i] * of[o];
                received[i][thread] = real(SCALE) * total;
            }
        }
        __syncthreads();
        if (of_columns)
            for (int i = thread; i < INPUTS * THREADS; i += THREADS) {
                const int line = SIDE_BY_SIDE ? i % INPUTS : i / THREADS, to = SIDE_BY_SIDE ? i / INPUTS : i % THREADS;
                if (first + to < columns.count)
                    of_columns[line * columns.row + (first + to) * columns.column] = received[line][to];
            }
        sums.add(lines, [](int sum) {
            return sum < WEIGHTS ? Factors{GIVEN + sum / INPUTS, SEEN + sum % INPUTS}
                                 : Factors{GIVEN + sum - WEIGHTS, ONES};
        });
    }
    sums.write(partial + size_t(blockIdx.x) * (WEIGHTS + CONSTANT * OUTPUTS));
}
