// Gates on a state x + iy in registers, and overlaps with its cotangent p + iq.

// The matrix ((a, -b*), (b, a*)) of SU(2) as its first column.
struct Matrix { Real ar, ai, br, bi; };

template <int qubit> constexpr int stride() { return 1 << (QUBITS - 1 - qubit); }
// Whether this lane's amplitudes have a qubit of the lanes at 1.
template <int qubit> INLINE bool is_one(int lane) { return lane >> (LANE_QUBITS - 1 - qubit) & 1; }

// An amplitude by its partners: `x, y` becomes the qubit's new amplitude where (u, v) has the other value of the qubit.
INLINE void mix(Real& x, Real& y, Real u, Real v, Real ar, Real ai, Real br, Real bi) {
    const Real real = ar * x - ai * y + br * u - bi * v;
    y = ar * y + ai * x + br * v + bi * u;
    x = real;
}

template <int qubit> INLINE void turn(Real* x, Real* y, Matrix m) {
    constexpr int s = stride<qubit>();
    UNROLL for (int j = 0; j < LOCAL; j++) if (!(j & s)) {
        const Real x0 = x[j], y0 = y[j];
        mix(x[j], y[j], x[j | s], y[j | s], m.ar, m.ai, -m.br, m.bi);
        mix(x[j | s], y[j | s], x0, y0, m.ar, -m.ai, m.br, m.bi);
    }
}

template <int qubit> INLINE void turn_lanes(Real* x, Real* y, Matrix m, int lane) {
    const bool one = is_one<qubit>(lane);
    const Real ai = one ? -m.ai : m.ai, br = one ? m.br : -m.br;
    UNROLL for (int j = 0; j < LOCAL; j++) mix(x[j], y[j], across(x[j], stride<qubit>() / LOCAL), across(y[j], stride<qubit>() / LOCAL), m.ar, ai, br, m.bi);
}

// RX as three shears: `half` is the tangent of half the angle by which amplitudes turn, `sine` its sine.
template <int qubit> INLINE void shear(Real* x, Real* y, Real half, Real sine) {
    constexpr int s = stride<qubit>();
    UNROLL for (int j = 0; j < LOCAL; j++) if (!(j & s)) {
        Real x0 = x[j], y0 = y[j], x1 = x[j | s], y1 = y[j | s];
        x0 += half * y1; x1 += half * y0;
        y1 -= sine * x0; y0 -= sine * x1;
        x0 += half * y1; x1 += half * y0;
        x[j] = x0; y[j] = y0; x[j | s] = x1; y[j | s] = y1;
    }
}

// Adds Im<cotangent|X|state> and Im<cotangent|Y|state> of a qubit within the lane.
template <int qubit> INLINE void overlap(const Real* x, const Real* y, const Real* p, const Real* q, Real& of_x, Real& of_y) {
    constexpr int s = stride<qubit>();
    UNROLL for (int j = 0; j < LOCAL; j++) if (!(j & s)) {
        const int k = j | s;
        of_x += p[j] * y[k]; of_x -= q[j] * x[k]; of_x += p[k] * y[j]; of_x -= q[k] * x[j];
        of_y += p[k] * x[j]; of_y += q[k] * y[j]; of_y -= p[j] * x[k]; of_y -= q[j] * y[k];
    }
}

// Overlaps of a qubit (find), then the inverse of its matrix on state and cotangent (undo).
template <int qubit, bool find, bool undo> INLINE void turn_back(Real* x, Real* y, Real* p, Real* q, Matrix m, int lane, Real& of_x, Real& of_y) {
    if constexpr (qubit >= LANE_QUBITS) {
        if constexpr (find) overlap<qubit>(x, y, p, q, of_x, of_y);
        if constexpr (undo) {
            const Matrix inverse = {m.ar, -m.ai, -m.br, -m.bi};
            turn<qubit>(x, y, inverse);
            turn<qubit>(p, q, inverse);
        }
    } else {
        const bool one = is_one<qubit>(lane);
        const Real ai = one ? m.ai : -m.ai, br = one ? -m.br : m.br;
        UNROLL for (int j = 0; j < LOCAL; j++) {
            const Real u = across(x[j], stride<qubit>() / LOCAL), v = across(y[j], stride<qubit>() / LOCAL);
            if constexpr (find) {
                of_x += p[j] * v; of_x -= q[j] * u;
                of_y += p[j] * u; of_y += q[j] * v;
            }
            if constexpr (undo) {
                mix(x[j], y[j], u, v, m.ar, ai, br, -m.bi);
                mix(p[j], q[j], across(p[j], stride<qubit>() / LOCAL), across(q[j], stride<qubit>() / LOCAL), m.ar, ai, br, -m.bi);
            }
        }
        if (find && !one) of_y = -of_y;
    }
}

template <int qubit> INLINE void rotate(Real* x, Real* y, Pair c) {
    if constexpr (qubit >= LANE_QUBITS) shear<qubit>(x, y, c.a, c.b);
    else {
        const Real cosine = 1 - c.a * c.b;
        UNROLL for (int j = 0; j < LOCAL; j++) {
            const Real u = across(x[j], stride<qubit>() / LOCAL), v = across(y[j], stride<qubit>() / LOCAL);
            x[j] = cosine * x[j] + c.b * v; y[j] = cosine * y[j] - c.b * u;
        }
    }
}

// Overlaps of a qubit, then the inverse of its RX on state and cotangent.
template <int qubit> INLINE void rotate_back(Real* x, Real* y, Real* p, Real* q, Pair c, int lane, Real& of_x, Real& of_y) {
    of_x = of_y = 0;
    if constexpr (qubit >= LANE_QUBITS) {
        overlap<qubit>(x, y, p, q, of_x, of_y);
        shear<qubit>(x, y, -c.a, -c.b);
        shear<qubit>(p, q, -c.a, -c.b);
    } else {
        const Real cosine = 1 - c.a * c.b;
        UNROLL for (int j = 0; j < LOCAL; j++) {
            const Real u = across(x[j], stride<qubit>() / LOCAL), v = across(y[j], stride<qubit>() / LOCAL);
            of_x += p[j] * v; of_x -= q[j] * u;
            of_y += p[j] * u; of_y += q[j] * v;
            const Real s = across(p[j], stride<qubit>() / LOCAL), t = across(q[j], stride<qubit>() / LOCAL);
            x[j] = cosine * x[j] - c.b * v; y[j] = cosine * y[j] + c.b * u;
            p[j] = cosine * p[j] - c.b * t; q[j] = cosine * q[j] + c.b * s;
        }
        if (!is_one<qubit>(lane)) of_y = -of_y;
    }
}

// Times the phases of a diagonal, or their conjugates; see phase_at for how they lie.
template <int states, bool inverse> INLINE void phase(Real* const* parts, const Real* phases, int lane) {
    UNROLL for (int j = 0; j < LOCAL; j += 2) {
        const Quad c = *reinterpret_cast<const Quad*>(phases + (j / 2 * GROUP + (lane & (GROUP - 1))) * 4);
        UNROLL for (int k = 0; k < states; k++) {
            Real *x = parts[2 * k], *y = parts[2 * k + 1];
            const Real s0 = inverse ? -c.b : c.b, s1 = inverse ? -c.d : c.d;
            const Real real0 = x[j] * c.a - y[j] * s0, real1 = x[j + 1] * c.c - y[j + 1] * s1;
            y[j] = x[j] * s0 + y[j] * c.a; y[j + 1] = x[j + 1] * s1 + y[j + 1] * c.c;
            x[j] = real0; x[j + 1] = real1;
        }
    }
}

// Im(cotangent* state) of each basis state: a diagonal leaves it as it is.
INLINE void overlaps(const Real* x, const Real* y, const Real* p, const Real* q, Real* z) {
    UNROLL for (int j = 0; j < LOCAL; j++) z[j] = p[j] * y[j] - q[j] * x[j];
}

// Overlaps with Z of every qubit, from those of basis states, which are lost.
template <int qubit = QUBITS - 1, int left = LOCAL> INLINE void overlaps_with_z(Real* z, Real (*bloch)[3], int lane) {
    if constexpr (qubit >= LANE_QUBITS) {
        Real difference = 0;
        UNROLL for (int j = 0; j < left / 2; j++) {
            const Real zero = z[2 * j], one = z[2 * j + 1];
            difference += zero - one;
            z[j] = zero + one;
        }
        bloch[qubit][2] = difference;
        overlaps_with_z<qubit - 1, left / 2>(z, bloch, lane);
    } else if constexpr (qubit >= 0) {
        bloch[qubit][2] = is_one<qubit>(lane) ? -z[0] : z[0];
        overlaps_with_z<qubit - 1, left>(z, bloch, lane);
    }
}

// The product state of the matrices' first columns.
template <class Matrices> INLINE void product(Real* x, Real* y, Matrices matrix_of, int lane) {
    x[0] = 1; y[0] = 0;
    each_qubit([&](auto q) {
        constexpr int qubit = decltype(q)::value;
        const Matrix m = matrix_of(q);
        if constexpr (qubit < LANE_QUBITS) {
            const bool one = is_one<qubit>(lane);
            const Real real = one ? m.br : m.ar, imag = one ? m.bi : m.ai, before = x[0];
            x[0] = before * real - y[0] * imag; y[0] = before * imag + y[0] * real;
        } else {
            constexpr int s = stride<qubit>();
            UNROLL for (int j = 0; j < LOCAL; j += 2 * s) {
                const Real u = x[j], v = y[j];
                x[j | s] = u * m.br - v * m.bi; y[j | s] = u * m.bi + v * m.br;
                x[j] = u * m.ar - v * m.ai; y[j] = u * m.ai + v * m.ar;
            }
        }
    });
}
