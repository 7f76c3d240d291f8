// Interpolation by two along both axes, and its gradients. Tap t weighs the value t - 2 places after a pair of
// results for the even one, and the one 2 - t places after it for the odd one; edges are repeated.

#define TAPS 4
#define NEAR 5  // values along an axis that a pair of results looks at

struct alignas(2 * sizeof(real)) Pair {
    real even, odd;
};

__device__ int clamped(int at, int size) {
    return min(max(at, 0), size - 1);
}

__device__ Pair combined(const real *weight, const real *near) {
    Pair result = {0, 0};
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap) {
        result.even += weight[tap] * near[tap];
        result.odd += weight[tap] * near[NEAR - 1 - tap];
    }
    return result;
}

__device__ void look(const real *plane, int y, int x, int rows, int columns, real near[NEAR][NEAR]) {
#pragma unroll
    for (int down = 0; down < NEAR; ++down) {
        const real *row = plane + clamped(y + down - 2, rows) * columns;
#pragma unroll
        for (int right = 0; right < NEAR; ++right) near[right][down] = row[clamped(x + right - 2, columns)];
    }
}

// One of the planes that blockIdx.y counts; the one after the last, if there is a grid that joins, is its copy,
// which comes first in the result.
extern "C" __global__ void upsample(
    const real *values, const real *joining, const real *weights, real *result,
    int planes, int rows, int columns, int finer_rows, int finer_columns) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= rows * columns) return;
    const int y = at / columns, x = at % columns, plane = blockIdx.y;
    const size_t finer = size_t(finer_rows) * finer_columns;
    Pair pairs[2];  // the even and the odd row
    if (plane == planes) {
#pragma unroll
        for (int down = 0; down < 2; ++down) {
            const real *row = joining + clamped(2 * y + down, finer_rows) * finer_columns;
            pairs[down] = {row[2 * x], row[clamped(2 * x + 1, finer_columns)]};
        }
    } else {
        real weight[TAPS], near[NEAR][NEAR], even[NEAR], odd[NEAR];
#pragma unroll
        for (int tap = 0; tap < TAPS; ++tap) weight[tap] = weights[tap];
        look(values + size_t(plane) * rows * columns, y, x, rows, columns, near);
#pragma unroll
        for (int right = 0; right < NEAR; ++right) {
            const Pair column = combined(weight, near[right]);
            even[right] = column.even;
            odd[right] = column.odd;
        }
        pairs[0] = combined(weight, even);
        pairs[1] = combined(weight, odd);
        if (joining) result += finer;
        result += plane * finer;
    }
#pragma unroll
    for (int down = 0; down < 2; ++down) {
        if (2 * y + down >= finer_rows) continue;
        real *to = result + size_t(2 * y + down) * finer_columns + 2 * x;
        if (finer_columns % 2 == 0) {
            *reinterpret_cast<Pair *>(to) = pairs[down];
        } else {
            to[0] = pairs[down].even;
            if (2 * x + 1 < finer_columns) to[1] = pairs[down].odd;
        }
    }
}

// What a value gives to the results from three before the first of its pair to four after it.
__device__ real given_to(const real *weight, int place) {
    constexpr int taps[2 * TAPS] = {0, 3, 1, 2, 2, 1, 3, 0};
    return weight[taps[place]];
}

// The share of a column's value in the results of a row; one at an edge stands for those beyond it.
__device__ real gathered(const real *weight, const real *line, int x, int columns, int finer_columns) {
    const int left = x == 0 ? -2 : x, right = x == columns - 1 ? columns + 1 : x;
    real total = 0;
    for (int c = left; c <= right; ++c) {
#pragma unroll
        for (int after = 0; after < 2 * TAPS; ++after) {
            const int column = 2 * c - 3 + after;
            if (column >= 0 && column < finer_columns) total += given_to(weight, after) * line[column];
        }
    }
    return total;
}

// The share of a pair's four results in the gradients of the taps.
__device__ void weigh(
    const real *weight, const real *values, const real *given, int y, int x,
    int rows, int columns, int finer_rows, int finer_columns, real *sums) {
    real near[NEAR][NEAR];
    Pair of[2];
    look(values, y, x, rows, columns, near);
#pragma unroll
    for (int down = 0; down < 2; ++down) {
        const bool inside = 2 * y + down < finer_rows;
        const real *line = given + size_t(2 * y + down) * finer_columns + 2 * x;
        of[down].even = inside ? line[0] : 0;
        of[down].odd = inside && 2 * x + 1 < finer_columns ? line[1] : 0;
    }
#pragma unroll
    for (int k = 0; k < NEAR; ++k) {
        real across[NEAR];
#pragma unroll
        for (int j = 0; j < NEAR; ++j) across[j] = near[j][k];
        const Pair column = combined(weight, near[k]), row = combined(weight, across);
        // k counts columns of the former, rows of the latter; tap k of even results, tap 4 - k of odd ones.
        if (k < TAPS)
            sums[k] += of[0].even * column.even + of[1].even * column.odd + of[0].even * row.even + of[0].odd * row.odd;
        if (k > 0)
            sums[TAPS - k] +=
                of[0].odd * column.even + of[1].odd * column.odd + of[1].even * row.even + of[1].odd * row.odd;
    }
}

#define PLACES (TILE_ROWS * TILE_COLUMNS)  // of a tile of values; each has a thread
#define LINES (2 * TILE_ROWS + 6)           // rows of results that the values of a tile have a part in

// Gradients in the planes of values, and for each block sums of those in the taps, ``partial_row`` numbers apart.
// ``joins`` planes come first in the gradient that is given. A block takes a tile: rows of the gradient are gathered
// first, then columns.
extern "C" __global__ void __launch_bounds__(PLACES) of_upsampled(
    const real *values, const real *given, const real *weights, real *of_values, real *partial,
    int partial_row, int joins, int rows, int columns, int finer_rows, int finer_columns) {
    __shared__ real lines[LINES][TILE_COLUMNS], found[TAPS][PLACES];
    const int thread = threadIdx.x, plane = blockIdx.y;
    const int across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const int top = blockIdx.x / across * TILE_ROWS, left = blockIdx.x % across * TILE_COLUMNS;
    real weight[TAPS], sums[TAPS] = {};
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap) weight[tap] = weights[tap];
    given += size_t(plane + joins) * finer_rows * finer_columns;
    for (int at = thread; at < LINES * TILE_COLUMNS; at += PLACES) {
        const int row = 2 * top - 3 + at / TILE_COLUMNS, x = left + at % TILE_COLUMNS;
        const bool inside = row >= 0 && row < finer_rows && x < columns;
        const real *line = given + size_t(row) * finer_columns;
        lines[at / TILE_COLUMNS][at % TILE_COLUMNS] = inside ? gathered(weight, line, x, columns, finer_columns) : 0;
    }
    __syncthreads();
    const int y = top + thread / TILE_COLUMNS, x = left + thread % TILE_COLUMNS;
    if (y < rows && x < columns) {
        const int highest = y == 0 ? -2 : y, lowest = y == rows - 1 ? rows + 1 : y;
        real total = 0;
        for (int z = highest; z <= lowest; ++z) {
#pragma unroll
            for (int down = 0; down < 2 * TAPS; ++down) {
                const int line = 2 * (z - top) + down;
                if (line >= 0 && line < LINES) total += given_to(weight, down) * lines[line][x - left];
            }
        }
        const size_t size = size_t(rows) * columns;
        of_values[plane * size + y * columns + x] = total;
        weigh(weight, values + plane * size, given, y, x, rows, columns, finer_rows, finer_columns, sums);
    }
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap) found[tap][thread] = sums[tap];
    for (int half = PLACES / 2; half; half /= 2) {
        __syncthreads();
        if (thread < half)
            for (int tap = 0; tap < TAPS; ++tap) found[tap][thread] += found[tap][thread + half];
    }
    __syncthreads();
    const size_t block = size_t(blockIdx.y) * gridDim.x + blockIdx.x;
    if (thread < TAPS) partial[block * partial_row + thread] = found[thread][0];
}
