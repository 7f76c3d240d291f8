// Householder's reflections of the columns of a matrix, size x size, by all threads of a block. Task t < size is
// column t of the matrix, and task size + t is row t of the basis; each has a line of its own.

template <int LINE>
__device__ void orthogonalize_lines(real (*lines)[LINE], int size) {
    for (int t = threadIdx.x; t < 2 * size; t += blockDim.x) {
        real *line = lines[t];
        if (t >= size) {
            for (int i = 0; i < size; ++i) line[i] = i == t - size ? 1 : 0;
            continue;
        }
        real most = 0;
        for (int i = 0; i < size; ++i) most = max(most, fabs(line[i]));
        // Whatever their lengths: squares of small numbers would vanish.
        for (int i = 0; i < size; ++i) line[i] = most > 0 ? line[i] / most : 0;
    }
    __syncthreads();
    for (int j = 0; j < size - 1; ++j) {
        const real *column = lines[j];  // its upper part is done, and nobody writes to it any more
        real below = 0;
        for (int i = j + 1; i < size; ++i) below += column[i] * column[i];
        const real length = sqrt(column[j] * column[j] + below);
        // From the head away from zero: nothing cancels.
        const real head = column[j] + (column[j] < 0 ? -length : length);
        const real square = head * head + below;
        const real twice = square > 0 ? 2 / square : 0;
        for (int t = j + 1 + threadIdx.x; t < 2 * size; t += blockDim.x) {
            real *line = lines[t];
            real along = head * line[j];
            for (int i = j + 1; i < size; ++i) along += column[i] * line[i];
            along *= twice;
            line[j] -= along * head;
            for (int i = j + 1; i < size; ++i) line[i] -= along * column[i];
        }
        __syncthreads();
    }
}
