// The weighed mean squared error of a picture, as a sum for each block, and its gradient; see
// quinr_pl/ops/squared_error.py. The values, and their gradient, are a matrix in any layout.

extern "C" __global__ void __launch_bounds__(THREADS) errors(
    const real *values, long long row, long long column, const real *picture, const real *known, real *partial,
    real *slopes, int count, int width) {
    __shared__ real sums[THREADS];
    const int thread = threadIdx.x;
    const real share = real(1) / count;
    real total = 0;
    for (int at = blockIdx.x * THREADS + thread; at < count; at += gridDim.x * THREADS) {
        const bool counts = known || picture[at] == picture[at];  // NaN is not itself
        const long long place = at / width * row + at % width * column;
        const real error = counts ? values[place] - picture[at] : real(0);
        const real weighed = known ? known[at] * error : error;
        total += weighed * error;
        if (slopes) slopes[place] = 2 * share * weighed;
    }
    sums[thread] = total;
    for (int half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (thread < half) sums[thread] += sums[thread + half];
    }
    if (thread == 0) partial[blockIdx.x] = share * sums[0];
}
