// A step of Adam for many arrays, each element by itself; see quinr_pl/ops/adam.py.

struct Member {
    real *parameter;
    const real *gradient;
    real *first, *second;  // moments
    int count;             // elements
    int block;             // the first of those that move it
};

struct Members {
    Member of[MOST_MEMBERS];
};

extern "C" __global__ void __launch_bounds__(THREADS) adam(
    const __grid_constant__ Members members, int count, const real *size, double first, double second, double eps) {
    int own = 0;
    while (own + 1 < count && members.of[own + 1].block <= blockIdx.x) ++own;
    const Member &member = members.of[own];
    const int at = (blockIdx.x - member.block) * THREADS + threadIdx.x;
    if (at >= member.count) return;
    const real gradient = member.gradient[at];
    const real mean = member.first[at] + real(first) * (gradient - member.first[at]);
    const real square = member.second[at] + real(second) * (gradient * gradient - member.second[at]);
    member.first[at] = mean;
    member.second[at] = square;
    member.parameter[at] += *size * (mean / (sqrt(square) + real(eps)));
}
