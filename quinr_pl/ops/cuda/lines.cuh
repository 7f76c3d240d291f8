// What the threads of a block find lies in shared memory, line by line; sums over threads are those of products of
// two lines.

typedef real Line[THREADS + 4];  // four more: lines begin in different banks

struct Factors {
    int left, right;  // numbers of lines
};

// Sums of a block, spread over its threads; `factors` says of which lines each one is.
template <int SUMS>
struct Sums {
    static constexpr int OWN = (SUMS + THREADS - 1) / THREADS;
    real own[OWN] = {};

    template <class F>
    __device__ void add(const Line *lines, const F &factors, int count = SUMS) {
#pragma unroll
        for (int i = 0; i < OWN; ++i) {
            const int sum = threadIdx.x + i * THREADS;
            if (sum >= count) continue;
            const Factors pair = factors(sum);
            const real *left = lines[pair.left], *right = lines[pair.right];
            real total = 0;
#pragma unroll 4
            for (int t = 0; t < THREADS; t += 4) {
                total += left[t] * right[t];
                total += left[t + 1] * right[t + 1];
                total += left[t + 2] * right[t + 2];
                total += left[t + 3] * right[t + 3];
            }
            own[i] += total;
        }
    }

    __device__ void write(real *to) const {
#pragma unroll
        for (int i = 0; i < OWN; ++i) {
            const int sum = threadIdx.x + i * THREADS;
            if (sum < SUMS) to[sum] = own[i];
        }
    }
};
