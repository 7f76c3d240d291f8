// Cosine and sine of any angle.

constexpr bool SINGLE = sizeof(Real) == 4;

INLINE void any_wave(double t, double& c, double& s) { sincos(t, &s, &c); }
INLINE void any_wave(float t, float& c, float& s) { sincosf(t, &s, &c); }

// Whether an angle is so small that `wave` has it right; no number is not.
INLINE bool is_small(Real t) { return SINGLE && fabs(t) < Real(32768); }

// Cody and Waite's reduction by quarter turns, polynomials of Cephes (Moshier): right but for the last bit.
INLINE Pair wave(float t) {
    const float quarters = rintf(t * 0.636619772f);
    const int quarter = int(quarters);
    const float r = fmaf(quarters, -7.54978942e-08f, fmaf(quarters, -1.57079625f, t)), r2 = r * r;
    const float odd = fmaf(fmaf(fmaf(r2, -1.95152959e-4f, 8.33216087e-3f), r2, -1.66666546e-1f) * r2, r, r);
    const float even = fmaf(fmaf(fmaf(r2, 2.44331571e-5f, -1.38873163e-3f), r2, 4.16666457e-2f) * r2, r2, fmaf(r2, -0.5f, 1.0f));
    const float sine = quarter & 1 ? even : odd, cosine = quarter & 1 ? odd : even;
    return {(quarter + 1) & 2 ? -cosine : cosine, quarter & 2 ? -sine : sine};
}
