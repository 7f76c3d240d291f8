// A step of SOAP for arrays of up to ELEMENTS numbers along AXES axes, SIZES each; see quinr_pl/training/soap.py.
// A block takes an array, and keeps it with its eigenbases in shared memory.
#include "orthogonal.cuh"

enum { PITCH = LONGEST | 1 };

struct Member {
    real *parameter;
    const real *gradient;
    int index, group;      // among the members of the state, and among the coefficients
    int lengths[AXES];     // of the parameter, which fills the beginning of each axis
};

struct Members {
    Member of[MOST_MEMBERS];
};

struct State {
    real *first, *second;                   // moments, (members, SIZES...)
    real *products[AXES], *basis[AXES];     // (members, size, size); null where the axis is not turned
};

struct Settings {
    double first, second, eps;  // shares of what is new in the moments
    int refresh;                // whether eigenbases follow
};

__device__ int size_of(int axis) {
    constexpr int sizes[] = {SIZES};
    return sizes[axis];
}

__device__ int stride_of(int axis) {
    int stride = 1;
    for (int later = axis + 1; later < AXES; ++later) stride *= size_of(later);
    return stride;
}

__device__ int place_along(int axis, int element) { return element / stride_of(axis) % size_of(axis); }

// Where an element of the batch lies in its parameter, or -1 in the padding.
__device__ int in_parameter(const Member &member, int element) {
    int at = 0;
    for (int axis = 0; axis < AXES; ++axis) {
        const int place = place_along(axis, element);
        if (place >= member.lengths[axis]) return -1;
        at = at * member.lengths[axis] + place;
    }
    return at;
}

// Multiplies an axis by a basis, or by the transposed one.
__device__ void turn(const real *from, real *to, const real (*basis)[PITCH], int axis, bool transposed) {
    const int size = size_of(axis), stride = stride_of(axis);
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) {
        const int place = place_along(axis, element);
        const real *line = from + element - place * stride;
        real total = 0;
        for (int k = 0; k < size; ++k) total += (transposed ? basis[k][place] : basis[place][k]) * line[k * stride];
        to[element] = total;
    }
    __syncthreads();
}

// All turned axes, one after the other; the result lies in `values`.
__device__ void turn_all(real *values, real *spare, const real (*bases)[LONGEST][PITCH], const State &state, bool to) {
    for (int axis = 0; axis < AXES; ++axis) {
        if (!state.basis[axis]) continue;
        turn(values, spare, bases[axis], axis, to);
        for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) values[element] = spare[element];
        __syncthreads();
    }
}

// Lets the outer products of an axis decay and adds those of the gradient.
__device__ void add_products(const real *gradient, real *products, int axis, real share) {
    const int size = size_of(axis), stride = stride_of(axis);
    for (int entry = threadIdx.x; entry < size * size; entry += THREADS) {
        const int row = entry / size, column = entry % size;
        real total = 0;
        for (int other = 0; other < ELEMENTS / size; ++other) {
            const int start = other / stride * stride * size + other % stride;
            total += gradient[start + row * stride] * gradient[start + column * stride];
        }
        products[entry] = (1 - share) * products[entry] + share * total;
    }
    __syncthreads();
}

// One round of power iteration from a basis; second moments follow its directions, the longest first.
__device__ void refresh(
    const real *products, real (*basis)[PITCH], real *second, real *spare, real (*lines)[PITCH], real *lengths,
    int axis, int length) {
    const int size = size_of(axis), stride = stride_of(axis);
    for (int entry = threadIdx.x; entry < size * size; entry += THREADS) {
        const int row = entry / size, column = entry % size;
        real total = 0;
        for (int k = 0; k < size; ++k) total += products[row * size + k] * basis[k][column];
        lines[size + column][row] = total;
    }
    __syncthreads();
    for (int t = threadIdx.x; t < size; t += THREADS) {
        real total = 0;
        for (int k = 0; k < size; ++k) total += basis[k][t] * lines[size + t][k];
        // Padding comes last, and what is no number has a place too.
        const real most = real(3e38);
        lengths[t] = t >= length ? -most : total < most ? total : most;
    }
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) spare[element] = second[element];
    __syncthreads();
    for (int t = threadIdx.x; t < size; t += THREADS) {
        int rank = 0;
        for (int k = 0; k < size; ++k) rank += lengths[k] > lengths[t] || (lengths[k] == lengths[t] && k < t);
        for (int i = 0; i < size; ++i) lines[rank][i] = lines[size + t][i];
        for (int other = 0; other < ELEMENTS / size; ++other) {
            const int start = other / stride * stride * size + other % stride;
            second[start + rank * stride] = spare[start + t * stride];
        }
    }
    __syncthreads();
    orthogonalize_lines(lines, size);
    for (int entry = threadIdx.x; entry < size * size; entry += THREADS)
        basis[entry / size][entry % size] = lines[size + entry / size][entry % size];
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(THREADS) soap(
    const __grid_constant__ Members members, const __grid_constant__ State state,
    const __grid_constant__ Settings settings, const real *coefficients) {
    __shared__ real gradient[ELEMENTS], values[ELEMENTS], spare[ELEMENTS], lengths[LONGEST];
    __shared__ real bases[AXES][LONGEST][PITCH], lines[2 * LONGEST][PITCH];
    const Member &member = members.of[blockIdx.x];
    real *first = state.first + size_t(member.index) * ELEMENTS;
    real *second = state.second + size_t(member.index) * ELEMENTS;
    for (int axis = 0; axis < AXES; ++axis) {
        const int size = size_of(axis);
        if (!state.basis[axis]) continue;
        const real *basis = state.basis[axis] + size_t(member.index) * size * size;
        for (int entry = threadIdx.x; entry < size * size; entry += THREADS)
            bases[axis][entry / size][entry % size] = basis[entry];
    }
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) {
        const int at = in_parameter(member, element);
        values[element] = gradient[element] = at < 0 ? real(0) : member.gradient[at];
        first[element] += real(settings.first) * (gradient[element] - first[element]);
    }
    __syncthreads();
    turn_all(values, spare, bases, state, true);
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) {
        second[element] += real(settings.second) * (values[element] * values[element] - second[element]);
        values[element] = first[element];
    }
    __syncthreads();
    turn_all(values, spare, bases, state, true);
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS)
        values[element] /= sqrt(second[element]) + real(settings.eps);
    __syncthreads();
    turn_all(values, spare, bases, state, false);
    const real size = coefficients[2 * member.group], kept = coefficients[2 * member.group + 1];
    for (int element = threadIdx.x; element < ELEMENTS; element += THREADS) {
        const int at = in_parameter(member, element);
        if (at < 0) continue;
        const real moved = member.parameter[at] + size * values[element];
        // What has no gradient yet does not shrink: a grid may join later.
        member.parameter[at] = gradient[element] != 0 ? kept * moved : moved;
    }
    for (int axis = 0; axis < AXES; ++axis) {
        if (!state.basis[axis]) continue;
        const int length = size_of(axis), square = length * length;
        real *products = state.products[axis] + size_t(member.index) * square;
        add_products(gradient, products, axis, real(settings.second));
        if (!settings.refresh) continue;
        refresh(products, bases[axis], second, spare, lines, lengths, axis, member.lengths[axis]);
        real *basis = state.basis[axis] + size_t(member.index) * square;
        for (int entry = threadIdx.x; entry < square; entry += THREADS)
            basis[entry] = bases[axis][entry / length][entry % length];
    }
}
