// Angles of a batch, sines of linear functions of its features, and their gradients; see quinr_pl/ops/sines.py.
#include "lines.cuh"

enum { SEEN = 0, ONES = INPUTS, OF_PHASE = ONES + 1, LINES = OF_PHASE + ANGLES, WEIGHTS = ANGLES * INPUTS };

struct Weights {
    real weight[ANGLES][INPUTS], bias[ANGLES];
};

struct Batch {
    const real *inputs;
    long long row, column;  // strides of the inputs
    int count;
    double frequency, scale;
};

__device__ void read_weights(Weights &to, const real *weight, const real *bias) {
    for (int i = threadIdx.x; i < ANGLES * INPUTS; i += THREADS) to.weight[i / INPUTS][i % INPUTS] = weight[i];
    for (int i = threadIdx.x; i < ANGLES; i += THREADS) to.bias[i] = bias[i];
}

__device__ void read_inputs(const Batch &batch, int at, real *seen) {
#pragma unroll
    for (int i = 0; i < INPUTS; ++i)
        seen[i] = at < batch.count ? batch.inputs[at * batch.row + i * batch.column] : real(0);
}

__device__ real phase_of(const Weights &weights, int angle, const real *seen, real frequency) {
    real phase = weights.bias[angle];
#pragma unroll
    for (int i = 0; i < INPUTS; ++i) phase += weights.weight[angle][i] * seen[i];
    return frequency * phase;
}

extern "C" __global__ void __launch_bounds__(THREADS) sines(
    const __grid_constant__ Batch batch, const real *weight, const real *bias, real *angles) {
    __shared__ Weights weights;
    alignas(16) __shared__ Line found[ANGLES];
    const int thread = threadIdx.x, first = blockIdx.x * THREADS;
    read_weights(weights, weight, bias);
    real seen[INPUTS];
    read_inputs(batch, first + thread, seen);
    __syncthreads();
    for (int m = 0; m < ANGLES; ++m)
        found[m][thread] = real(batch.scale) * sin(phase_of(weights, m, seen, batch.frequency));
    __syncthreads();
    const int numbers = min(batch.count - first, THREADS) * ANGLES;
    for (int i = thread; i < numbers; i += THREADS) angles[size_t(first) * ANGLES + i] = found[i % ANGLES][i / ANGLES];
}

// Gradients in the inputs, where these are wanted, and for each block sums of those in weight and then in bias.
extern "C" __global__ void __launch_bounds__(THREADS) of_sines(
    const __grid_constant__ Batch batch, const real *weight, const real *bias, const real *given, real *of_inputs,
    real *partial) {
    __shared__ Weights weights;
    alignas(16) __shared__ Line lines[LINES];
    const int thread = threadIdx.x;
    read_weights(weights, weight, bias);
    lines[ONES][thread] = 1;
    Sums<WEIGHTS + ANGLES> sums;
    for (int first = blockIdx.x * THREADS; first < batch.count; first += gridDim.x * THREADS) {
        __syncthreads();
        const int at = first + thread;
        for (int i = thread; i < THREADS * ANGLES; i += THREADS)
            lines[OF_PHASE + i % ANGLES][i / ANGLES] =
                first + i / ANGLES < batch.count ? given[size_t(first) * ANGLES + i] : real(0);
        real seen[INPUTS], received[INPUTS] = {};
        read_inputs(batch, at, seen);
        __syncthreads();
        for (int m = 0; m < ANGLES; ++m) {
            const real phase = phase_of(weights, m, seen, batch.frequency);
            const real of = lines[OF_PHASE + m][thread] * real(batch.scale * batch.frequency) * cos(phase);
            lines[OF_PHASE + m][thread] = of;
#pragma unroll
            for (int i = 0; i < INPUTS; ++i) received[i] += weights.weight[m][i] * of;
        }
#pragma unroll
        for (int i = 0; i < INPUTS; ++i) {
            lines[SEEN + i][thread] = seen[i];
            if (of_inputs && at < batch.count) of_inputs[at * batch.row + i * batch.column] = received[i];
        }
        __syncthreads();
        sums.add(lines, [](int sum) {
            return sum < WEIGHTS ? Factors{OF_PHASE + sum / INPUTS, SEEN + sum % INPUTS}
                                 : Factors{OF_PHASE + sum - WEIGHTS, ONES};
        });
    }
    sums.write(partial + size_t(blockIdx.x) * (WEIGHTS + ANGLES));
}
