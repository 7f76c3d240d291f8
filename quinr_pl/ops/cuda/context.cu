// Bits of latents under the context model, and the gradients of each grid's sum in the same pass.
//
// A thread takes a latent.
#include "lines.cuh"

#define INPUTS (NEIGHBOURS + 1)                         // the neighbours, and the latent of the coarser grid
#define PITCH ((INPUTS + 3) / 4 * 4)                    // of a row of the hidden layer's matrix
// SECOND is the width of the second hidden layer, that of the first one, or 0 without one.
#define SUM_COUNT (1 + WIDTH * (INPUTS + 1) + SECOND * (WIDTH + 1) + 2 * WIDTH + 2)  // bits; gradients of the weights

enum {
    SEEN = 0,
    ONES = INPUTS,
    OF_HIDDEN = ONES + 1,
    HIDDEN = OF_HIDDEN + WIDTH,
    OF_SECOND = HIDDEN + WIDTH,
    UNITS = SECOND ? OF_SECOND + SECOND : HIDDEN,  // of the last hidden layer
    OF_UNITS = SECOND ? OF_SECOND : OF_HIDDEN,
    OF_OUTPUT = OF_SECOND + 2 * SECOND,  // of mean and scale
    BITS = OF_OUTPUT + 2,
    LINES
};

struct Level {
    const real *grid, *coarser;  // no coarser one for the coarsest
    real *received;              // (INPUTS + 1, latents): gradients in what each latent saw, and in itself
    int rows, columns, coarser_columns;
    int end;         // of its latents among those of all levels
    int last_block;  // after the last of the blocks that it has in `bits`
};

struct Levels {
    Level level[MOST_GRIDS];
};

struct Weights {
    const real *hidden_weight, *hidden_bias, *second_weight, *second_bias, *output_weight, *output_bias, *shifts;
};

struct Priced {
    real bits, of_deviation, of_scale;
};

// A Laplace distribution integrated over half a unit to either side, as in quinr_pl/ops/laplace.py.
__device__ Priced laplace_bits(real deviation, real log_scale) {
    const real ln2 = real(0.693147180559945309), low = real(LOW), high = real(HIGH), least = real(LEAST);
    const real inverse = exp2(-min(max(log_scale, low), high));
    const real steepness = -inverse / ln2;
    const real distance = fabs(deviation), beyond = distance - real(0.5), outer = distance + real(0.5);
    const real near = exp2(fabs(beyond) * steepness), far = exp2(outer * steepness);
    const real mass = beyond < 0 ? 1 - real(0.5) * (near + far) : real(0.5) * (near - far);
    const bool kept = mass < least, clipped = log_scale < low || log_scale > high;
    const real known = max(mass, least);
    const real slope = kept ? real(0) : real(-0.5) / ln2 / known;  // of the bits by twice the mass
    const real of_distance = -slope * (inverse * (near - far));
    const real of_inverse = slope * (outer * far - beyond * near);
    return {-log2(known), deviation < 0 ? -of_distance : of_distance,
            clipped ? real(0) : of_inverse * (inverse * -ln2)};
}

__device__ int level_of(const Levels &levels, int at, int Level::*end) {
    int index = 0;
    while (at >= levels.level[index].*end) ++index;
    return index;
}

// The two lines whose products a sum is made of.
__device__ Factors factors(int sum) {
    if (sum == 0) return {BITS, ONES};
    sum -= 1;
    if (sum < WIDTH * INPUTS) return {OF_HIDDEN + sum / INPUTS, SEEN + sum % INPUTS};
    sum -= WIDTH * INPUTS;
    if (sum < WIDTH) return {OF_HIDDEN + sum, ONES};
    sum -= WIDTH;
    if (sum < SECOND * WIDTH) return {OF_SECOND + sum / WIDTH, HIDDEN + sum % WIDTH};
    sum -= SECOND * WIDTH;
    if (sum < SECOND) return {OF_SECOND + sum, ONES};
    sum -= SECOND;
    if (sum < 2 * WIDTH) return {OF_OUTPUT + sum / WIDTH, UNITS + sum % WIDTH};
    return {OF_OUTPUT + sum - 2 * WIDTH, ONES};
}

// Bits and, if `received` is there, gradients; `partial` has SUM_COUNT numbers for each block.
extern "C" __global__ void __launch_bounds__(THREADS) bits(
    const __grid_constant__ Levels levels, const __grid_constant__ Weights weights, real *partial) {
    alignas(16) __shared__ real hidden_weight[WIDTH * PITCH], hidden_bias[WIDTH], output_weight[2 * WIDTH];
    alignas(16) __shared__ real second_weight[SECOND * WIDTH + 1], second_bias[SECOND + 1];
    alignas(16) __shared__ Line lines[LINES];
    const int thread = threadIdx.x, block = blockIdx.x;
    const int index = level_of(levels, block, &Level::last_block);
    const Level &level = levels.level[index];
    const int first_block = index ? levels.level[index - 1].last_block : 0, blocks = level.last_block - first_block;
    for (int i = thread; i < WIDTH * INPUTS; i += THREADS)
        hidden_weight[i / INPUTS * PITCH + i % INPUTS] = weights.hidden_weight[i];
    for (int i = thread; i < WIDTH; i += THREADS) hidden_bias[i] = weights.hidden_bias[i];
    for (int i = thread; i < SECOND * WIDTH; i += THREADS) second_weight[i] = weights.second_weight[i];
    for (int i = thread; i < SECOND; i += THREADS) second_bias[i] = weights.second_bias[i];
    for (int i = thread; i < 2 * WIDTH; i += THREADS) output_weight[i] = weights.output_weight[i];
    const real mean_bias = weights.output_bias[0], scale_bias = weights.output_bias[1] + weights.shifts[index];
    lines[ONES][thread] = 1;
    constexpr int DOWN[] = DOWNS, RIGHT[] = RIGHTS;
    Sums<SUM_COUNT> sums;
    const int columns = level.columns, latents = level.rows * columns;
    const bool keep = level.received;
    for (int first = (block - first_block) * THREADS; first < latents; first += blocks * THREADS) {
        const int at = first + thread, y = at / columns, x = at % columns;
        const bool valid = at < latents;
        __syncthreads();
        real seen[INPUTS];
#pragma unroll
        for (int i = 0; i < NEIGHBOURS; ++i) {
            const int column = x + RIGHT[i];
            const bool inside = valid && y + DOWN[i] >= 0 && column >= 0 && column < columns;
            seen[i] = inside ? level.grid[at + DOWN[i] * columns + RIGHT[i]] : real(0);
        }
        seen[NEIGHBOURS] = valid && level.coarser ? level.coarser[(y / 2) * level.coarser_columns + x / 2] : real(0);
        real mean = mean_bias, scale = scale_bias;
        for (int j = 0; j < WIDTH; ++j) {
            real total = hidden_bias[j];
#pragma unroll
            for (int i = 0; i < INPUTS; ++i) total += hidden_weight[j * PITCH + i] * seen[i];
            lines[HIDDEN + j][thread] = max(total, real(0));
        }
        for (int j = 0; j < SECOND; ++j) {
            real total = second_bias[j] + lines[HIDDEN + j][thread];
            for (int i = 0; i < WIDTH; ++i) total += second_weight[j * WIDTH + i] * lines[HIDDEN + i][thread];
            lines[UNITS + j][thread] = max(total, real(0));
        }
        for (int j = 0; j < WIDTH; ++j) {
            mean += output_weight[j] * lines[UNITS + j][thread];
            scale += output_weight[WIDTH + j] * lines[UNITS + j][thread];
        }
        const Priced priced = laplace_bits(valid ? level.grid[at] - mean : real(0), scale);
        lines[BITS][thread] = valid ? priced.bits : real(0);
        if (keep) {
            const real of_mean = valid ? -priced.of_deviation : real(0), of_scale = valid ? priced.of_scale : real(0);
            lines[OF_OUTPUT][thread] = of_mean;
            lines[OF_OUTPUT + 1][thread] = of_scale;
            for (int j = 0; j < WIDTH; ++j) {
                const real of = output_weight[j] * of_mean + output_weight[WIDTH + j] * of_scale;
                lines[OF_UNITS + j][thread] = lines[UNITS + j][thread] > 0 ? of : real(0);
            }
            for (int i = 0; i < SECOND; ++i) {
                real of = lines[OF_SECOND + i][thread];
                for (int j = 0; j < SECOND; ++j) of += second_weight[j * WIDTH + i] * lines[OF_SECOND + j][thread];
                lines[OF_HIDDEN + i][thread] = lines[HIDDEN + i][thread] > 0 ? of : real(0);
            }
            real received[INPUTS] = {};
            for (int j = 0; j < WIDTH; ++j) {
                const real of_hidden = lines[OF_HIDDEN + j][thread];
#pragma unroll
                for (int i = 0; i < INPUTS; ++i) received[i] += hidden_weight[j * PITCH + i] * of_hidden;
            }
#pragma unroll
            for (int i = 0; i < INPUTS; ++i) {
                lines[SEEN + i][thread] = seen[i];
                if (valid) level.received[size_t(i) * latents + at] = received[i];
            }
            if (valid) level.received[size_t(INPUTS) * latents + at] = -of_mean;
        }
        __syncthreads();
        sums.add(lines, factors, keep ? SUM_COUNT : 1);
    }
    sums.write(partial + size_t(block) * SUM_COUNT);
}

// Sums of each level over its blocks, in their order: blockIdx.y is the level, threadIdx.y takes every
// blockDim.y-th block.
extern "C" __global__ void totals(const __grid_constant__ Levels levels, const real *partial, real *result) {
    __shared__ double shared[TOTAL_ROWS][32];
    const int sum = blockIdx.x * 32 + threadIdx.x, index = blockIdx.y;
    const int first = index ? levels.level[index - 1].last_block : 0, last = levels.level[index].last_block;
    double total = 0;
    if (sum < SUM_COUNT)
        for (int block = first + threadIdx.y; block < last; block += TOTAL_ROWS)
            total += partial[size_t(block) * SUM_COUNT + sum];
    shared[threadIdx.y][threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y || sum >= SUM_COUNT) return;
    for (int row = 1; row < TOTAL_ROWS; ++row) total += shared[row][threadIdx.x];
    result[index * SUM_COUNT + sum] = total;
}

// Gradients in the latents of all levels, one after the other, weighed with those in each level's bits; the last
// block finds those in the weights and in the levels' shifts.
extern "C" __global__ void gradients(
    const __grid_constant__ Levels levels, int count, const real *totals, const real *cotangent, int stride,
    real *of_latents, real *of_weights, real *of_shifts) {
    if (blockIdx.x == gridDim.x - 1) {
        for (int sum = threadIdx.x; sum < SUM_COUNT - 1; sum += blockDim.x) {
            double total = 0;
            for (int index = 0; index < count; ++index) total += double(cotangent[index * stride]) * totals[index * SUM_COUNT + 1 + sum];
            of_weights[sum] = total;
        }
        for (int index = threadIdx.x; index < count; index += blockDim.x)
            of_shifts[index] = cotangent[index * stride] * totals[index * SUM_COUNT + SUM_COUNT - 1];
        return;
    }
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= levels.level[count - 1].end) return;
    const int index = level_of(levels, place, &Level::end);
    const Level &level = levels.level[index];
    const int at = place - (index ? levels.level[index - 1].end : 0);
    const int rows = level.rows, columns = level.columns, y = at / columns, x = at % columns;
    const size_t latents = size_t(rows) * columns;
    constexpr int DOWN[] = DOWNS, RIGHT[] = RIGHTS;
    real total = level.received[INPUTS * latents + at];
#pragma unroll
    for (int i = 0; i < NEIGHBOURS; ++i) {
        const int row = y - DOWN[i], column = x - RIGHT[i];
        if (row < rows && column >= 0 && column < columns)
            total += level.received[i * latents + row * columns + column];
    }
    total *= cotangent[index * stride];
    if (index) {
        const Level &finer = levels.level[index - 1];
        const size_t finer_latents = size_t(finer.rows) * finer.columns;
        const real *received = finer.received + NEIGHBOURS * finer_latents;
        real of_finer = 0;
#pragma unroll
        for (int place = 0; place < 4; ++place) {
            const int row = 2 * y + place / 2, column = 2 * x + place % 2;
            if (row < finer.rows && column < finer.columns) of_finer += received[row * finer.columns + column];
        }
        total += cotangent[(index - 1) * stride] * of_finer;
    }
    of_latents[place] = total;
}
