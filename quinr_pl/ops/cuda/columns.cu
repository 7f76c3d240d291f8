// A linear function of columns, and its gradients; see quinr_pl/ops/columns.py.
#include "lines.cuh"

enum { SEEN = 0, GIVEN = INPUTS, LINES = GIVEN + OUTPUTS };

struct Columns {
    const real *at;
    long long row, column;  // strides
    int count;
};

extern "C" __global__ void __launch_bounds__(THREADS) combined(
    const __grid_constant__ Columns columns, const real *weight, real *result) {
    __shared__ real weights[OUTPUTS][INPUTS];
    for (int i = threadIdx.x; i < OUTPUTS * INPUTS; i += THREADS) weights[i / INPUTS][i % INPUTS] = weight[i];
    __syncthreads();
    const int at = blockIdx.x * THREADS + threadIdx.x;
    if (at >= columns.count) return;
    real totals[OUTPUTS] = {};
#pragma unroll
    for (int i = 0; i < INPUTS; ++i) {
        const real value = columns.at[i * columns.row + at * columns.column];
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) totals[o] += weights[o][i] * value;
    }
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) result[size_t(o) * columns.count + at] = totals[o];
}

// Gradients in the columns, where these are wanted, and for each block sums of those in the weights.
extern "C" __global__ void __launch_bounds__(THREADS) of_combined(
    const __grid_constant__ Columns columns, const __grid_constant__ Columns given, const real *weight,
    real *of_columns, real *partial) {
    __shared__ real weights[OUTPUTS][INPUTS];
    alignas(16) __shared__ Line lines[LINES];
    const int thread = threadIdx.x;
    for (int i = thread; i < OUTPUTS * INPUTS; i += THREADS) weights[i / INPUTS][i % INPUTS] = weight[i];
    Sums<OUTPUTS * INPUTS> sums;
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
#pragma unroll
        for (int i = 0; i < INPUTS; ++i) {
            const long long place = i * columns.row + at * columns.column;
            lines[SEEN + i][thread] = inside ? columns.at[place] : real(0);
            real total = 0;
#pragma unroll
            for (int o = 0; o < OUTPUTS; ++o) total += weights[o][i] * of[o];
            if (of_columns && inside) of_columns[place] = total;
        }
        __syncthreads();
        sums.add(lines, [](int sum) { return Factors{GIVEN + sum / INPUTS, SEEN + sum % INPUTS}; });
    }
    sums.write(partial + size_t(blockIdx.x) * OUTPUTS * INPUTS);
}
