// Sums of columns: blockIdx.x counts groups of blockDim.x columns, threadIdx.y takes every blockDim.y-th row.

extern "C" __global__ void __launch_bounds__(THREADS) sums(const real *partial, real *result, int rows, int columns) {
    __shared__ double found[THREADS];
    const int column = blockIdx.x * blockDim.x + threadIdx.x, place = threadIdx.y * blockDim.x + threadIdx.x;
    double total = 0;
    if (column < columns) {
#pragma unroll 8
        for (int row = threadIdx.y; row < rows; row += blockDim.y) total += partial[size_t(row) * columns + column];
    }
    found[place] = total;
    for (int half = THREADS / 2; half >= blockDim.x; half /= 2) {
        __syncthreads();
        if (place < half) found[place] += found[place + half];
    }
    if (threadIdx.y == 0 && column < columns) result[column] = found[place];
}
