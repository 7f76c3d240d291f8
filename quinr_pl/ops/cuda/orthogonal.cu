// Orthonormal bases of the columns of matrices, SIZE x SIZE, by Householder's reflections. A block takes a matrix.

// Task t < SIZE is column t of the matrix, and task SIZE + t is row t of the basis; each has a line of its own.
extern "C" __global__ void orthogonalize(const real *matrices, real *bases) {
    __shared__ real lines[2 * SIZE][PITCH];
    const real *matrix = matrices + size_t(blockIdx.x) * SIZE * SIZE;
    for (int t = threadIdx.x; t < 2 * SIZE; t += blockDim.x) {
        if (t >= SIZE) {
            for (int i = 0; i < SIZE; ++i) lines[t][i] = i == t - SIZE ? 1 : 0;
            continue;
        }
        real most = 0;
        for (int i = 0; i < SIZE; ++i) most = max(most, fabs(matrix[i * SIZE + t]));
        // Whatever their lengths: squares of small numbers would vanish.
        for (int i = 0; i < SIZE; ++i) lines[t][i] = most > 0 ? matrix[i * SIZE + t] / most : 0;
    }
    __syncthreads();
    for (int j = 0; j < SIZE - 1; ++j) {
        const real *column = lines[j];  // its upper part is done, and nobody writes to it any more
        real below = 0;
        for (int i = j + 1; i < SIZE; ++i) below += column[i] * column[i];
        const real length = sqrt(column[j] * column[j] + below);
        // From the head away from zero: nothing cancels.
        const real head = column[j] + (column[j] < 0 ? -length : length);
        const real square = head * head + below;
        const real twice = square > 0 ? 2 / square : 0;
        for (int t = j + 1 + threadIdx.x; t < 2 * SIZE; t += blockDim.x) {
            real *line = lines[t];
            real along = head * line[j];
            for (int i = j + 1; i < SIZE; ++i) along += column[i] * line[i];
            along *= twice;
            line[j] -= along * head;
            for (int i = j + 1; i < SIZE; ++i) line[i] -= along * column[i];
        }
        __syncthreads();
    }
    real *basis = bases + size_t(blockIdx.x) * SIZE * SIZE;
    for (int t = threadIdx.x; t < SIZE; t += blockDim.x)
        for (int i = 0; i < SIZE; ++i) basis[t * SIZE + i] = lines[SIZE + t][i];
}
