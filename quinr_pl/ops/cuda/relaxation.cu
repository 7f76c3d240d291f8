// Soft rounding, noise, and soft rounding again of the latents of all grids; see quinr_pl/ops/relaxation.py.

struct Grid {
    const real *latents;
    int first, last;  // of its latents among those of all grids
    int last_pair;    // of its pairs of latents, likewise
};

struct Grids {
    Grid grid[MOST_GRIDS];
};

struct Rounded {
    real value, slope;
};

struct Pair {
    real first, second;
};

__device__ Rounded soft_rounded(real value, real temperature, real height) {
    const real middle = floor(value) + real(0.5);
    const real bent = tanh((value - middle) / temperature);
    return {middle + bent * height, (1 - bent * bent) * height / temperature};
}

// Two numbers of the standard normal distribution, as in quinr_pl/ops/noise.py.
__device__ Pair normal_pair(unsigned place, unsigned stream, unsigned key) {
    unsigned left = place, right = stream;
#pragma unroll
    for (int round = 0; round < ROUNDS; ++round) {
        const unsigned high = __umulhi(left, MULTIPLIER), low = left * MULTIPLIER;
        left = high ^ (key + round * KEY_STEP) ^ right;
        right = low;
    }
    const real unit = real(1) / (1 << UNIFORM_BITS), turn = real(6.283185307179586477) * unit;
    const real radius = sqrt(real(-2) * log(real((left >> (32 - UNIFORM_BITS)) + 1) * unit));
    const real angle = real(right >> (32 - UNIFORM_BITS)) * turn;
    return {radius * cos(angle), radius * sin(angle)};
}

// settings: temperature and standard deviation of the noise, by grid. A thread takes two latents.
extern "C" __global__ void relax(
    const __grid_constant__ Grids grids, int pairs, const long long *key, const real *settings, real *relaxed,
    real *slopes) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pairs) return;
    int index = 0;
    while (at >= grids.grid[index].last_pair) ++index;
    const Grid &grid = grids.grid[index];
    const int pair = at - (index ? grids.grid[index - 1].last_pair : 0), size = grid.last - grid.first;
    const real temperature = settings[2 * index], spread = settings[2 * index + 1];
    const real height = real(0.5) / tanh(real(0.5) / temperature);
    const Pair noise = normal_pair(pair, unsigned(key[1]) + index, unsigned(key[0]));
#pragma unroll
    for (int second = 0; second < 2; ++second) {
        const int place = 2 * pair + second;
        if (place >= size) continue;
        const Rounded once = soft_rounded(grid.latents[place], temperature, height);
        const real noisy = once.value + spread * (second ? noise.second : noise.first);
        const Rounded twice = soft_rounded(noisy, temperature, height);
        relaxed[grid.first + place] = twice.value;
        if (slopes) slopes[grid.first + place] = once.slope * twice.slope;
    }
}
