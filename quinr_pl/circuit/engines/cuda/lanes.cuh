// How the amplitudes of a coordinate lie in the lanes of a warp, and sums over lanes.
//
// GROUP neighbouring lanes hold one coordinate, a warp COORDINATES of them. Qubit 0 is the most significant bit of a
// basis state: the first LANE_QUBITS qubits number the lane of a group, the others the LOCAL amplitudes that
// each lane holds in registers. Registers are indexed by constants only, so every loop over them is unrolled.

typedef REAL Real;
typedef long long Long;

constexpr int GROUP = 1 << LANE_QUBITS, COORDINATES = 32 / GROUP, STATES = 1 << QUBITS;
constexpr int LOCAL_QUBITS = QUBITS - LANE_QUBITS, LOCAL = 1 << LOCAL_QUBITS;
// Each lane of a group composes the matrices of the qubits OWNED * lane to OWNED * lane + OWNED - 1.
constexpr int OWNED = (QUBITS + GROUP - 1) / GROUP, SLOTS = OWNED * GROUP;

struct alignas(2 * sizeof(Real)) Pair { Real a, b; };
struct alignas(16) Quad { Real a, b, c, d; };  // what is read at once
struct alignas((OWNED & (OWNED - 1)) || OWNED > 4 ? 4 : 4 * OWNED) Columns { int at[OWNED]; };

INLINE Real across(Real value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
INLINE Real from_lane(Real value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }

// Calls body(Constant<qubit>) for every qubit, with the qubit known while compiling.
template <int V> struct Constant { static constexpr int value = V; };
template <int qubit = 0, class Body> INLINE void each_qubit(Body body) {
    if constexpr (qubit < QUBITS) { body(Constant<qubit>()); each_qubit<qubit + 1>(body); }
}

// One level of a transposed sum: lanes that differ in `mask` share the work, each keeps half of the values.
template <int count> INLINE void halve(Real* values, int lane, int mask) {
    const bool high = lane & mask;
    UNROLL for (int i = 0; i < count / 2; i++) {
        const Real low = values[i], up = values[i + count / 2];
        values[i] = (high ? up : low) + across(high ? low : up, mask);
    }
}

// Adds sums over lanes to total: those of `count` values, a power of two, over lanes that differ in bits `mask` and
// lower ones down to `least`. Value i goes to total[i * least + lane % least]. After halving, a lane is left with some of
// the values, or several lanes with the same one.
template <int least, int count, int mask> INLINE void add_power(Real* values, int lane, Real* total) {
    if constexpr (mask >= least && count > 1) {
        halve<count>(values, lane, mask);
        add_power<least, count / 2, mask / 2>(values, lane, total + ((lane & mask) ? count / 2 * least : 0));
    } else if constexpr (mask >= least) {
        Real sum = values[0];
        UNROLL for (int m = mask; m >= least; m >>= 1) sum += across(sum, m);
        if (!(lane & (2 * mask - least))) total[lane & (least - 1)] += sum;
    } else {
        UNROLL for (int i = 0; i < count; i++) total[i * least + (lane & (least - 1))] += values[i];
    }
}

// The same for any number of values: over the coordinates of a warp (least = GROUP), or over all lanes (least = 1).
template <int least, int count> INLINE void add_sums(Real* values, int lane, Real* total) {
    constexpr int power = count >= 32 ? 32 : count >= 16 ? 16 : count >= 8 ? 8 : count >= 4 ? 4 : count >= 2 ? 2 : 1;
    add_power<least, power, 16>(values, lane, total);
    if constexpr (count > power) add_sums<least, count - power>(values + power, lane, total + power * least);
}

// Sums over the lanes of a group: of values[SLOTS][kinds], each lane keeps those of the slots it owns, in values[0] on.
template <int kinds, int span = GROUP> INLINE void sum_owned(Real (*values)[kinds], int lane) {
    if constexpr (span > 1) {
        const bool high = lane & (span / 2);
        UNROLL for (int i = 0; i < span / 2 * OWNED; i++) UNROLL for (int k = 0; k < kinds; k++) {
            const Real low = values[i][k], up = values[i + span / 2 * OWNED][k];
            values[i][k] = (high ? up : low) + across(high ? low : up, span / 2);
        }
        sum_owned<kinds, span / 2>(values, lane);
    }
}
