// Values plus a 3 x 3 convolution of them with repeated edges, and its gradients. CHANNELS planes.

#define PIXELS (TILE_ROWS * TILE_COLUMNS)  // of a tile; each has a thread
#define WEIGHTS (CHANNELS * CHANNELS * 9)
#define SUMS (WEIGHTS + CHANNELS)  // gradients of the weights, then of the biases

extern "C" __global__ void convolve(
    const real *values, const real *weight, const real *bias, real *result, int rows, int columns) {
    __shared__ real weights[WEIGHTS];
    for (int i = threadIdx.x; i < WEIGHTS; i += blockDim.x) weights[i] = weight[i];
    __syncthreads();
    const int at = blockIdx.x * blockDim.x + threadIdx.x, size = rows * columns;
    if (at >= size) return;
    const int y = at / columns, x = at % columns;
    real totals[CHANNELS];
#pragma unroll
    for (int o = 0; o < CHANNELS; ++o) totals[o] = bias[o];
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const real *plane = values + size_t(i) * size;
#pragma unroll
        for (int tap = 0; tap < 9; ++tap) {
            const int row = min(max(y + tap / 3 - 1, 0), rows - 1), column = min(max(x + tap % 3 - 1, 0), columns - 1);
            const real value = plane[row * columns + column];
#pragma unroll
            for (int o = 0; o < CHANNELS; ++o) totals[o] += weights[(o * CHANNELS + i) * 9 + tap] * value;
            if (tap == 4) totals[i] += value;
        }
    }
#pragma unroll
    for (int o = 0; o < CHANNELS; ++o) result[size_t(o) * size + at] = totals[o];
}

// Threads of the sums over pixels: a channel of values and a row of taps, for one part of a tile.
#define COMBINATIONS (CHANNELS * 3)
#define PARTS (PIXELS / COMBINATIONS >= 8 * TILE_ROWS   ? 8 * TILE_ROWS \
               : PIXELS / COMBINATIONS >= 4 * TILE_ROWS ? 4 * TILE_ROWS \
               : PIXELS / COMBINATIONS >= 2 * TILE_ROWS ? 2 * TILE_ROWS \
                                                         : TILE_ROWS)
#define PART_COLUMNS (PIXELS / PARTS)

struct Tile {
    real of[CHANNELS][TILE_ROWS + 2][TILE_COLUMNS + 3];
};

// The gradient in the values at a pixel of a tile, for one channel; values at an edge stand for those beyond it.
__device__ real of_value(const real *weights, const Tile &given, int i, int y, int x, int row, int column, int rows, int columns) {
    const int top = row == 0 ? -1 : 0, bottom = row == rows - 1 ? 1 : 0;
    const int left = column == 0 ? -1 : 0, right = column == columns - 1 ? 1 : 0;
    real total = given.of[i][y + 1][x + 1];
    for (int v = top; v <= bottom; ++v)
        for (int h = left; h <= right; ++h)
#pragma unroll
            for (int tap = 0; tap < 9; ++tap) {
                const int down = v - tap / 3 + 1, after = h - tap % 3 + 1;
                if (down < -1 || down > 1 || after < -1 || after > 1) continue;  // outside the signal
#pragma unroll
                for (int o = 0; o < CHANNELS; ++o)
                    total += weights[(o * CHANNELS + i) * 9 + tap] * given.of[o][y + 1 + down][x + 1 + after];
            }
    return total;
}

// Gradients in the values, and for each block sums of those in weights and biases.
extern "C" __global__ void of_convolved(
    const real *values, const real *weight, const real *given, real *of_values, real *partial, int rows, int columns) {
    __shared__ real weights[WEIGHTS];
    __shared__ Tile seen, cotangent;
    __shared__ real found[PARTS][COMBINATIONS][3 * CHANNELS + 1];
    const int thread = threadIdx.x, y = thread / TILE_COLUMNS, x = thread % TILE_COLUMNS;
    for (int i = thread; i < WEIGHTS; i += PIXELS) weights[i] = weight[i];
    const int part = thread / COMBINATIONS, combination = thread % COMBINATIONS;
    const int part_row = part % TILE_ROWS, part_column = part / TILE_ROWS * PART_COLUMNS;
    const int channel = combination / 3, tap_row = combination % 3;
    real sums[CHANNELS][3] = {}, of_bias[CHANNELS] = {};
    const int across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const size_t size = size_t(rows) * columns;
    for (int tile = blockIdx.x; tile < across * down; tile += gridDim.x) {
        const int top = tile / across * TILE_ROWS, left = tile % across * TILE_COLUMNS;
        __syncthreads();
        for (int at = thread; at < (TILE_ROWS + 2) * (TILE_COLUMNS + 2); at += PIXELS) {
            const int r = at / (TILE_COLUMNS + 2), c = at % (TILE_COLUMNS + 2);
            const int row = top + r - 1, column = left + c - 1;
            const bool inside = row >= 0 && row < rows && column >= 0 && column < columns;
            const int nearest = min(max(row, 0), rows - 1) * columns + min(max(column, 0), columns - 1);
#pragma unroll
            for (int i = 0; i < CHANNELS; ++i) {
                seen.of[i][r][c] = values[i * size + nearest];
                cotangent.of[i][r][c] = inside ? given[i * size + nearest] : 0;
            }
        }
        __syncthreads();
        const int row = top + y, column = left + x;
        if (row < rows && column < columns)
#pragma unroll
            for (int i = 0; i < CHANNELS; ++i)
                of_values[i * size + row * columns + column] =
                    of_value(weights, cotangent, i, y, x, row, column, rows, columns);
        if (part < PARTS) {
            const real *line = seen.of[channel][part_row + tap_row];
            real before = line[part_column], at = line[part_column + 1];
            for (int c = part_column; c < part_column + PART_COLUMNS; ++c) {
                const real after = line[c + 2];
#pragma unroll
                for (int o = 0; o < CHANNELS; ++o) {
                    const real of = cotangent.of[o][part_row + 1][c + 1];
                    sums[o][0] += of * before;
                    sums[o][1] += of * at;
                    sums[o][2] += of * after;
                    of_bias[o] += of;
                }
                before = at;
                at = after;
            }
        }
    }
    if (part < PARTS)
        for (int o = 0; o < CHANNELS; ++o)
            for (int tap = 0; tap < 3; ++tap) found[part][combination][3 * o + tap] = sums[o][tap];
    __syncthreads();
    for (int at = thread; at < WEIGHTS; at += PIXELS) {
        const int o = at / (9 * CHANNELS), from = at / 3 % COMBINATIONS;  // channel of values and row of taps
        real total = 0;
        for (int p = 0; p < PARTS; ++p) total += found[p][from][3 * o + at % 3];
        partial[size_t(blockIdx.x) * SUMS + at] = total;
    }
    __syncthreads();
    if (part < PARTS && combination == 0)
        for (int o = 0; o < CHANNELS; ++o) found[part][0][o] = of_bias[o];
    __syncthreads();
    if (thread < CHANNELS) {
        real total = 0;
        for (int p = 0; p < PARTS; ++p) total += found[p][0][thread];
        partial[size_t(blockIdx.x) * SUMS + WEIGHTS + thread] = total;
    }
}
