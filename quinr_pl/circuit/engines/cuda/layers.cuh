// What all coordinates share, computed once a batch in double precision.

struct Arguments {
    const Real *angles, *weights, *cotangent;
    Real *probabilities, *state, *coefficients, *of_angles, *of_weights, *rows;
    double *phases, *turns, *totals;
    const double* generators;
    const int *embeds, *columns, *chains, *diagonal, *position;
    int* ticket;
    Long batch, features, layers, folds, chain, controlled, measured, row_count;
};

// One layer's coefficients: a pair of numbers for each basis state's phase, then for each slot of a qubit
// an RX (tangent, sine), or of an embedding its matrices after and before the angles and the rotation that takes
// overlaps from behind the former to before it.
constexpr int OF_QUBIT = 20, MATRICES = 2 * STATES, LAYER = MATRICES + OF_QUBIT * SLOTS;
// Sums of one layer: overlaps of basis states at its start; then X and Y of each qubit, or of each slot in
// an embedding X and Y at its end, X, Y and Z before its angles. KINDS of a slot lie SLOTS apart.
constexpr int KINDS = 5, AT_QUBITS = STATES, SUMS = STATES + KINDS * SLOTS;

// Where the phase of a basis state lies: lanes of a group read 16 bytes each, side by side.
INLINE int phase_at(int state) {
    const int group = state / LOCAL, j = state % LOCAL;
    return (j / 2 * GROUP + group) * 4 + j % 2 * 2;
}

// Trained rotations of a qubit before (end = 0) or after (1) the angles of a layer: RZ and RX in turn.
struct Chain {
    const int* weights;  // -1: none
    double* turns;       // cosine and sine of half of each weight
    int length;
};

// The turns of a layer are there twice, for the block of the layer itself and for that of the next (copy = 1).
INLINE Chain chain_of(const Arguments& a, int layer, int qubit, int end, int copy = 0) {
    const int length = int(a.chain), at = ((layer * QUBITS + qubit) * 2 + end) * length;
    return {a.chains + at, a.turns + 2 * (copy * int(a.layers) * QUBITS * 2 * length + at), length};
}

// The threads of a block compute a layer's turns.
INLINE void prepare_turns(const Arguments& a, int layer, int copy) {
    const Chain all = chain_of(a, layer, 0, 0, copy);
    for (int i = threadIdx.x; i < QUBITS * 2 * all.length; i += blockDim.x)
        if (all.weights[i] >= 0) sincos(0.5 * a.weights[all.weights[i]], &all.turns[2 * i + 1], &all.turns[2 * i]);
}

struct Column { double ar, ai, br, bi; };

INLINE Column compose(Chain chain) {
    Column m = {1, 0, 0, 0};
    for (int i = 0; i < chain.length; i++) {
        if (chain.weights[i] < 0) continue;
        const double c = chain.turns[2 * i], s = chain.turns[2 * i + 1];
        if (i % 2) m = {c * m.ar + s * m.bi, c * m.ai - s * m.br, c * m.br + s * m.ai, c * m.bi - s * m.ar};
        else m = {c * m.ar + s * m.ai, c * m.ai - s * m.ar, c * m.br - s * m.bi, c * m.bi + s * m.br};
    }
    return m;
}

// A matrix as phases around an RX, up to a global phase: diag(1, e^(i after)) RX diag(1, e^(i before)).
struct Polar { double tangent, sine, after, before; };

INLINE Polar polar(Column m) {
    const double first = atan2(m.ai, m.ar), second = atan2(m.bi, m.br), quarter = 1.5707963267948966;
    const double cosine = sqrt(m.ar * m.ar + m.ai * m.ai), sine = sqrt(m.br * m.br + m.bi * m.bi);
    return {sine / (1 + cosine), sine, second + quarter - first, 3 * quarter - second - first};
}

// Takes overlaps with X, Y and Z from behind a chain to before it, and writes its gradients where there is room.
INLINE void unwind(Chain chain, double* bloch, Real* gradient) {
    double &x = bloch[0], &y = bloch[1], &z = bloch[2];
    for (int i = chain.length - 1; i >= 0; i--) {
        if (chain.weights[i] < 0) continue;
        const double half = chain.turns[2 * i], other = chain.turns[2 * i + 1];
        const double c = half * half - other * other, s = 2 * half * other;
        if (gradient) gradient[chain.weights[i]] = i % 2 ? x : z;
        double &u = i % 2 ? y : x, &v = i % 2 ? z : y;
        const double turned = c * u + s * v;
        v = c * v - s * u;
        u = turned;
    }
}

// An embedding's matrices after and before the angles (part 0 and 1), or a column of the rotation (2 to 4).
INLINE void embedding(const Arguments& a, int layer, int qubit, int part, Real* to) {
    if (part < 2) {
        const Column m = qubit < QUBITS ? compose(chain_of(a, layer, qubit, 1 - part)) : Column{1, 0, 0, 0};
        Real* at = to + 4 * part;
        at[0] = m.ar; at[1] = m.ai; at[2] = m.br; at[3] = m.bi;
    } else {
        double bloch[3] = {part == 2 ? 1.0 : 0.0, part == 3 ? 1.0 : 0.0, part == 4 ? 1.0 : 0.0};
        if (qubit < QUBITS) unwind(chain_of(a, layer, qubit, 1), bloch, nullptr);
        for (int row = 0; row < 3; row++) to[8 + 3 * row + part - 2] = bloch[row];
    }
}

// Weights without multiples of 4 pi, after which every gate is what it was: sums of large ones would drown in rounding.
INLINE double reduced(double weight) {
    if (fabs(weight) <= 64) return weight;
    double s, c;
    sincos(0.5 * weight, &s, &c);
    return 2 * atan2(s, c);
}

// Coefficients of one layer a block.
extern "C" __global__ void prepare(const Arguments a) {
    __shared__ double before[QUBITS], after[QUBITS], controlled[QUBITS * QUBITS];
    const int layer = blockIdx.x, thread = threadIdx.x;
    Real* to = a.coefficients + layer * LAYER;
    if (layer == 0 && thread == 0) *a.ticket = 0;
    prepare_turns(a, layer, 0);
    if (layer > 0) prepare_turns(a, layer - 1, 1);
    for (int k = thread; k < a.controlled; k += blockDim.x)
        controlled[k] = reduced(a.weights[a.diagonal[layer * a.controlled + k]]);
    __syncthreads();
    if (a.embeds[layer])
        for (int i = thread; i < SLOTS * 5; i += blockDim.x)
            embedding(a, layer, i / 5, i % 5, to + MATRICES + i / 5 * OF_QUBIT);
    for (int qubit = thread; qubit < QUBITS; qubit += blockDim.x) {
        Polar p = {0, 0, 0, 0};
        if (!a.embeds[layer]) {
            p = polar(compose(chain_of(a, layer, qubit, 0)));
            to[MATRICES + qubit * OF_QUBIT] = p.tangent;
            to[MATRICES + qubit * OF_QUBIT + 1] = p.sine;
        }
        before[qubit] = p.before;
        a.phases[layer * QUBITS + qubit] = p.after;
    }
    for (int other = thread - 32; other >= 0 && other < QUBITS; other += blockDim.x) {
        const bool plain = layer > 0 && !a.embeds[layer - 1];
        after[other] = plain ? polar(compose(chain_of(a, layer - 1, other, 0, 1))).after : 0;
    }
    __syncthreads();
    for (int state = thread; state < STATES; state += blockDim.x) {
        double angle = 0, s, c;
        for (int k = 0; k < a.controlled; k++) angle += controlled[k] * a.generators[k * STATES + state];
        for (int q = 0; q < QUBITS; q++) if (state >> (QUBITS - 1 - q) & 1) angle += before[q] + after[q];
        sincos(angle, &s, &c);
        to[phase_at(state)] = c;
        to[phase_at(state) + 1] = s;
    }
}

// Total of a layer's overlaps at its start with a basis state.
INLINE double overlap_of(const Arguments& a, int layer, int state) {
    return a.totals[layer * SUMS + state % LOCAL * GROUP + state / LOCAL];
}

INLINE double kind_of(const Arguments& a, int layer, int slot, int kind) {
    return a.totals[layer * SUMS + AT_QUBITS + (kind * OWNED + slot % OWNED) * GROUP + slot / OWNED];
}

// Gradients of the rotations of one qubit in one layer, by a warp.
INLINE void finish_qubit(const Arguments& a, int layer, int qubit, int lane) {
    double z = 0;
    if (layer + 1 < a.layers)
        for (int state = lane; state < STATES; state += 32)
            z += (state >> (QUBITS - 1 - qubit) & 1 ? -1 : 1) * overlap_of(a, layer + 1, state);
    for (int mask = 16; mask > 0; mask >>= 1) z += __shfl_xor_sync(0xffffffffu, z, mask);
    if (lane > 0) return;
    if (a.embeds[layer]) {
        double end[3] = {kind_of(a, layer, qubit, 0), kind_of(a, layer, qubit, 1), z}, start[3];
        for (int k = 0; k < 3; k++) start[k] = kind_of(a, layer, qubit, 2 + k);
        unwind(chain_of(a, layer, qubit, 1), end, a.of_weights);
        unwind(chain_of(a, layer, qubit, 0), start, a.of_weights);
    } else {
        const double* sums = a.totals + layer * SUMS + AT_QUBITS + 2 * qubit;
        double s, c;
        sincos(a.phases[layer * QUBITS + qubit], &s, &c);
        double end[3] = {c * sums[0] - s * sums[1], c * sums[1] + s * sums[0], z};
        unwind(chain_of(a, layer, qubit, 0), end, a.of_weights);
    }
}

// Gradients of the weights. Blocks add up the rows of sums, 32 columns each; the last one to end goes on from
// the totals. Who is last makes no difference to the result.
extern "C" __global__ void __launch_bounds__(FINISH_THREADS) finish(const Arguments a) {
    __shared__ double parts[FINISH_THREADS / 32][32];
    __shared__ int last;
    const int lane = threadIdx.x % 32, part = threadIdx.x / 32, count = blockDim.x / 32;
    const Long width = a.layers * SUMS, column = blockIdx.x * 32 + lane;
    double sum = 0;
    if (column < width)
        for (Long row = part; row < a.row_count; row += count) sum += a.rows[row * width + column];
    parts[part][lane] = sum;
    __syncthreads();
    if (part == 0 && column < width) {
        for (int i = 1; i < count; i++) sum += parts[i][lane];
        a.totals[column] = sum;
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(a.ticket, 1) == int(gridDim.x) - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    for (int i = part; i < a.layers * QUBITS; i += count) finish_qubit(a, i / QUBITS, i % QUBITS, lane);
    for (int i = threadIdx.x + a.controlled; i < a.layers * a.controlled; i += blockDim.x) {
        double gradient = 0;
        for (int state = 0; state < STATES; state++)
            gradient -= 2 * a.generators[i % a.controlled * STATES + state] * overlap_of(a, i / a.controlled, state);
        a.of_weights[a.diagonal[i]] = gradient;
    }
}
