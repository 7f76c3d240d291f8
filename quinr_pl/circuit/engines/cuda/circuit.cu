// The circuit: one kernel runs it forward, one backward. A warp takes every so many-th group of coordinates.

// What a block keeps in shared memory, in this order; the warps' parts follow one another.
struct Block {
    Real* coefficients;
    Real* of_warp;  // for each coordinate: cosine and sine of half of each angle; then backward its gradients, and sums
    int *embeds, *columns;
};

INLINE int waves(const Arguments& a) { return 2 * (int(a.features) + 1 | 1); }
INLINE int slopes(const Arguments& a) { return int(a.features) + 1 | 1; }
INLINE int of_warp(const Arguments& a, bool back) {
    return COORDINATES * (waves(a) + (back ? slopes(a) : 0)) + (back ? int(a.layers) * SUMS : 0) + 3 & ~3;
}

template <bool back> INLINE Block block_of(const Arguments& a, Quad* shared) {
    const int warps = blockDim.x / 32;
    Block b;
    b.coefficients = reinterpret_cast<Real*>(shared);
    b.of_warp = b.coefficients + a.layers * LAYER;
    b.columns = reinterpret_cast<int*>(b.of_warp + warps * of_warp(a, back));
    b.embeds = b.columns + a.layers * a.folds * SLOTS;
    UNROLL_BY(1) for (int i = threadIdx.x; i < a.layers * LAYER; i += blockDim.x) b.coefficients[i] = a.coefficients[i];
    UNROLL_BY(1) for (int i = threadIdx.x; i < a.layers * a.folds * SLOTS; i += blockDim.x) b.columns[i] = a.columns[i];
    UNROLL_BY(1) for (int i = threadIdx.x; i < a.layers; i += blockDim.x) b.embeds[i] = a.embeds[i];
    b.of_warp += threadIdx.x / 32 * of_warp(a, back);
    if (back) UNROLL_BY(1) for (int i = threadIdx.x % 32; i < of_warp(a, back); i += 32) b.of_warp[i] = 0;
    __syncthreads();
    return b;
}

// Cosine and sine of half of each angle, of the padding after the last one, which is 0, and of zeros past the batch.
INLINE void read_angles(const Arguments& a, Pair* of_coordinate, Long row, bool inside, int lane) {
    const Real* from = a.angles + row * a.features;
    const int first = lane & (GROUP - 1), count = int(a.features);
    bool small = SINGLE;
    if constexpr (SINGLE) {
        UNROLL_BY(4) for (int i = first; i < count; i += GROUP) {
            AT(ANGLE);
            const Real half = inside ? Real(0.5) * from[i] : Real(0);
            small &= is_small(half);
            of_coordinate[i] = wave(half);
        }
    }
    if (!small)
        UNROLL_BY(1) for (int i = first; i < count; i += GROUP)
            any_wave(inside ? Real(0.5) * from[i] : Real(0), of_coordinate[i].a, of_coordinate[i].b);
    if (first == 0) of_coordinate[count] = {1, 0};
    __syncwarp();
}

// First columns of the matrices of an embedding, of the qubits that this lane owns.
struct Embedding { Matrix own[OWNED]; };

template <bool is_rx> INLINE Matrix folded(Matrix m, Pair w) {
    if (is_rx) return {w.a * m.ar + w.b * m.bi, w.a * m.ai - w.b * m.br, w.a * m.br + w.b * m.ai, w.a * m.bi - w.b * m.ar};
    return {w.a * m.ar + w.b * m.ai, w.a * m.ai - w.b * m.ar, w.a * m.br - w.b * m.bi, w.a * m.bi + w.b * m.br};
}

template <bool is_rx> INLINE void fold(Matrix* own, const Pair* waves, const int* columns, int lane) {
    AT(FOLD);
    const Columns at = reinterpret_cast<const Columns*>(columns)[lane & (GROUP - 1)];
    UNROLL for (int i = 0; i < OWNED; i++) own[i] = folded<is_rx>(own[i], waves[at.at[i]]);
}

INLINE Embedding embed(const Arguments& a, const Block& b, int layer, const Pair* waves, int lane) {
    Embedding e;
    const Real* from = b.coefficients + layer * LAYER + MATRICES + (lane & (GROUP - 1)) * OWNED * OF_QUBIT;
    UNROLL for (int i = 0; i < OWNED; i++) {
        const Quad m = *reinterpret_cast<const Quad*>(from + i * OF_QUBIT + 4);
        e.own[i] = {m.a, m.b, m.c, m.d};
    }
    const int* columns = b.columns + layer * int(a.folds) * SLOTS;
    UNROLL_BY(1) for (int f = 0; f < a.folds; f += 2) {
        fold<true>(e.own, waves, columns, lane);
        if (f + 1 < a.folds) fold<false>(e.own, waves, columns + SLOTS, lane);
        columns += 2 * SLOTS;
    }
    UNROLL for (int i = 0; i < OWNED; i++) {
        const Quad t = *reinterpret_cast<const Quad*>(from + i * OF_QUBIT);
        const Matrix m = e.own[i];
        e.own[i] = {t.a * m.ar - t.b * m.ai - t.c * m.br - t.d * m.bi, t.a * m.ai + t.b * m.ar - t.c * m.bi + t.d * m.br,
                    t.c * m.ar - t.d * m.ai + t.a * m.br + t.b * m.bi, t.c * m.ai + t.d * m.ar + t.a * m.bi - t.b * m.br};
    }
    return e;
}

// A qubit's matrix, from the lane that owns it.
template <int qubit> INLINE Matrix matrix_of(const Embedding& e, int lane) {
    const Matrix m = e.own[qubit % OWNED];
    if constexpr (GROUP == 1) return m;
    const int from = (lane & ~(GROUP - 1)) | qubit / OWNED;
    return {from_lane(m.ar, from), from_lane(m.ai, from), from_lane(m.br, from), from_lane(m.bi, from)};
}

template <int qubit> INLINE Pair rx_of(const Block& b, int layer) {
    return *reinterpret_cast<const Pair*>(b.coefficients + layer * LAYER + MATRICES + qubit * OF_QUBIT);
}

extern "C" __global__ void __launch_bounds__(THREADS, FORWARD_BLOCKS) forward(const Arguments a) {
    extern __shared__ Quad shared[];
    const Block b = block_of<false>(a, shared);
    const int lane = threadIdx.x % 32, group = lane & (GROUP - 1), warps = blockDim.x / 32;
    Pair* waves_of = reinterpret_cast<Pair*>(b.of_warp + lane / GROUP * waves(a));
    const Long step = Long(gridDim.x) * warps * COORDINATES;
    for (Long first = (Long(blockIdx.x) * warps + threadIdx.x / 32) * COORDINATES; first < a.batch; first += step) {
        AT(ITERATION);
        const Long row = first + lane / GROUP;
        const bool inside = row < a.batch;
        read_angles(a, waves_of, row, inside, lane);
        Real x[LOCAL], y[LOCAL];
        Real* parts[] = {x, y};
        {
            const Embedding e = embed(a, b, 0, waves_of, lane);
            product(x, y, [&](auto q) { return matrix_of<decltype(q)::value>(e, lane); }, lane);
        }
        UNROLL_BY(1) for (int layer = 1; layer < a.layers; layer++) {
            AT(LAYER);
            phase<1, false>(parts, b.coefficients + layer * LAYER, lane);
            if (b.embeds[layer]) {
                AT(EMBEDDING);
                const Embedding e = embed(a, b, layer, waves_of, lane);
                each_qubit([&](auto q) {
                    constexpr int qubit = decltype(q)::value;
                    const Matrix m = matrix_of<qubit>(e, lane);
                    if constexpr (qubit < LANE_QUBITS) turn_lanes<qubit>(x, y, m, lane);
                    else turn<qubit>(x, y, m);
                });
            } else {
                AT(PLAIN);
                each_qubit([&](auto q) { rotate<decltype(q)::value>(x, y, rx_of<decltype(q)::value>(b, layer)); });
            }
        }
        if (inside) {
            UNROLL for (int j = 0; j < LOCAL; j++) {
                const int at = a.position[group * LOCAL + j];
                if (at >= 0) a.probabilities[row * a.measured + at] = x[j] * x[j] + y[j] * y[j];
            }
            if (a.state) {
                Real* to = a.state + row * GROUP + group;
                UNROLL for (int j = 0; j < LOCAL; j++) {
                    to[j * a.batch * GROUP] = x[j];
                    to[(LOCAL + j) * a.batch * GROUP] = y[j];
                }
            }
        }
        __syncwarp();
    }
}

// The state, and the cotangent that a function's slopes in the probabilities give it; zeros past the batch.
INLINE void read_state(const Arguments& a, Long row, bool inside, int group, Real* x, Real* y, Real* p, Real* q) {
    const Real* from = a.state + row * GROUP + group;
    UNROLL for (int j = 0; j < LOCAL; j++) {
        x[j] = inside ? from[j * a.batch * GROUP] : 0;
        y[j] = inside ? from[(LOCAL + j) * a.batch * GROUP] : 0;
    }
    UNROLL for (int j = 0; j < LOCAL; j++) {
        const int at = a.position[group * LOCAL + j];
        const Real slope = inside && at >= 0 ? a.cotangent[row * a.measured + at] : 0;
        p[j] = slope * x[j];
        q[j] = slope * y[j];
    }
}

template <bool is_rx> INLINE void unfold(Real (*bloch)[3], const Pair* waves, Real* slopes, const int* columns, int lane) {
    AT(UNFOLD);
    const Columns at = reinterpret_cast<const Columns*>(columns)[lane & (GROUP - 1)];
    UNROLL for (int i = 0; i < OWNED; i++) {
        const Pair w = waves[at.at[i]];
        const Real c = w.a * w.a - w.b * w.b, s = 2 * w.a * w.b;
        Real &u = bloch[i][is_rx ? 1 : 0], &v = bloch[i][is_rx ? 2 : 1];
        slopes[at.at[i]] += bloch[i][is_rx ? 0 : 2];
        const Real turned = c * u + s * v;
        v = c * v - s * u;
        u = turned;
    }
}

// Gradients of the angles of an embedding, from the overlaps at its end, and sums on both sides of the angles.
INLINE void unwind(const Arguments& a, const Block& b, int layer, Real (*bloch)[3], const Pair* waves, Real* slopes, Real* sums, int lane) {
    sum_owned<3>(bloch, lane);
    Real kept[KINDS * OWNED];
    const Real* from = b.coefficients + layer * LAYER + MATRICES + (lane & (GROUP - 1)) * OWNED * OF_QUBIT;
    UNROLL for (int i = 0; i < OWNED; i++) {
        Real r[12];
        UNROLL for (int k = 0; k < 12; k += 4) {
            const Quad c = *reinterpret_cast<const Quad*>(from + i * OF_QUBIT + 8 + k);
            r[k] = c.a; r[k + 1] = c.b; r[k + 2] = c.c; r[k + 3] = c.d;
        }
        const Real x = bloch[i][0], y = bloch[i][1], z = bloch[i][2];
        kept[i] = x;
        kept[OWNED + i] = y;
        UNROLL for (int k = 0; k < 3; k++) bloch[i][k] = r[3 * k] * x + r[3 * k + 1] * y + r[3 * k + 2] * z;
    }
    const int* columns = b.columns + (layer + 1) * int(a.folds) * SLOTS;
    if (a.folds % 2) unfold<true>(bloch, waves, slopes, columns -= SLOTS, lane);
    UNROLL_BY(1) for (int f = 1; f < a.folds; f += 2) {
        unfold<false>(bloch, waves, slopes, columns -= SLOTS, lane);
        unfold<true>(bloch, waves, slopes, columns -= SLOTS, lane);
    }
    UNROLL for (int k = 0; k < 3; k++) UNROLL for (int i = 0; i < OWNED; i++) kept[(2 + k) * OWNED + i] = bloch[i][k];
    add_sums<GROUP, KINDS * OWNED>(kept, lane, sums + AT_QUBITS);
}

extern "C" __global__ void __launch_bounds__(THREADS, BACKWARD_BLOCKS) backward(const Arguments a) {
    extern __shared__ Quad shared[];
    const Block b = block_of<true>(a, shared);
    const int lane = threadIdx.x % 32, group = lane & (GROUP - 1), warps = blockDim.x / 32;
    Pair* waves_of = reinterpret_cast<Pair*>(b.of_warp + lane / GROUP * waves(a));
    Real* slopes_of = b.of_warp + COORDINATES * waves(a) + lane / GROUP * slopes(a);
    Real* sums = b.of_warp + COORDINATES * (waves(a) + slopes(a));
    const Long step = Long(gridDim.x) * warps * COORDINATES;
    for (Long first = (Long(blockIdx.x) * warps + threadIdx.x / 32) * COORDINATES; first < a.batch; first += step) {
        AT(ITERATION);
        const Long row = first + lane / GROUP;
        const bool inside = row < a.batch;
        read_angles(a, waves_of, row, inside, lane);
        Real x[LOCAL], y[LOCAL], p[LOCAL], q[LOCAL], z[LOCAL];
        Real* parts[] = {x, y, p, q};
        read_state(a, row, inside, group, x, y, p, q);
        UNROLL_BY(1) for (int layer = int(a.layers) - 1; layer >= 0; layer--) {
            AT(LAYER);
            Real* to = sums + layer * SUMS;
            if (b.embeds[layer]) {
                AT(EMBEDDING);
                Real bloch[SLOTS][3] = {};
                overlaps(x, y, p, q, z);
                overlaps_with_z(z, bloch, lane);
                constexpr bool apart = LANE_QUBITS == 0;  // of qubits across lanes one exchange serves both
                if (apart || layer == 0) {
                    each_qubit([&](auto k) {
                        constexpr int qubit = decltype(k)::value;
                        turn_back<qubit, true, false>(x, y, p, q, Matrix(), lane, bloch[qubit][0], bloch[qubit][1]);
                    });
                    unwind(a, b, layer, bloch, waves_of, slopes_of, to, lane);
                }
                if (layer > 0) {
                    const Embedding e = embed(a, b, layer, waves_of, lane);
                    each_qubit([&](auto k) {
                        constexpr int qubit = decltype(k)::value;
                        turn_back<qubit, !apart, true>(x, y, p, q, matrix_of<qubit>(e, lane), lane, bloch[qubit][0], bloch[qubit][1]);
                    });
                    if (!apart) unwind(a, b, layer, bloch, waves_of, slopes_of, to, lane);
                }
            } else {
                AT(PLAIN);
                Real of_qubits[2 * QUBITS];
                each_qubit([&](auto k) {
                    constexpr int qubit = decltype(k)::value;
                    rotate_back<qubit>(x, y, p, q, rx_of<qubit>(b, layer), lane, of_qubits[2 * qubit], of_qubits[2 * qubit + 1]);
                });
                // Lanes of a group have parts of them: they are added up, too.
                add_sums<1, 2 * QUBITS>(of_qubits, lane, to + AT_QUBITS);
            }
            if (layer > 0) {
                overlaps(x, y, p, q, z);
                add_sums<GROUP, LOCAL>(z, lane, to);
                phase<2, true>(parts, b.coefficients + layer * LAYER, lane);
            }
        }
        __syncwarp();
        UNROLL_BY(4) for (int i = group; i < a.features; i += GROUP) {
            if (inside) a.of_angles[row * a.features + i] = slopes_of[i];
            slopes_of[i] = 0;
        }
        __syncwarp();
    }
    // Rows of sums: those of the block's warps, added up in their order.
    __syncthreads();
    const int width = int(a.layers) * SUMS, apart = of_warp(a, true);
    const Real* all = sums - threadIdx.x / 32 * apart;
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
        Real sum = 0;
        for (int warp = 0; warp < warps; warp++) sum += all[warp * apart + i];
        a.rows[blockIdx.x * Long(width) + i] = sum;
    }
}
