// Orthonormal bases of the columns of matrices, SIZE x SIZE. A block takes a matrix.
#include "orthogonal.cuh"

extern "C" __global__ void orthogonalize(const real *matrices, real *bases) {
    __shared__ real lines[2 * SIZE][PITCH];
    const size_t first = size_t(blockIdx.x) * SIZE * SIZE;
    for (int t = threadIdx.x; t < SIZE; t += blockDim.x)
        for (int i = 0; i < SIZE; ++i) lines[t][i] = matrices[first + i * SIZE + t];
    __syncthreads();
    orthogonalize_lines(lines, SIZE);
    for (int t = threadIdx.x; t < SIZE; t += blockDim.x)
        for (int i = 0; i < SIZE; ++i) bases[first + t * SIZE + i] = lines[SIZE + t][i];
}
