// Cosine and sine of any angle.

INLINE void wave_of(double t, double& c, double& s) { sincos(t, &s, &c); }

// Of a few turns: Cody and Waite's reduction by quarters, polynomials of Cephes (Moshier), all but the last bit right.
INLINE void wave_of(float t, float& c, float& s) {
    if (!(fabsf(t) < 32768.0f)) return sincosf(t, &s, &c);
    const float quarters = rintf(t * 0.636619772f);
    const int quarter = int(quarters);
    const float r = fmaf(quarters, -7.54978942e-08f, fmaf(quarters, -1.57079625f, t)), r2 = r * r;
    const float odd = fmaf(fmaf(fmaf(r2, -1.95152959e-4f, 8.33216087e-3f), r2, -1.66666546e-1f) * r2, r, r);
    const float even = fmaf(fmaf(fmaf(r2, 2.44331571e-5f, -1.38873163e-3f), r2, 4.16666457e-2f) * r2, r2, fmaf(r2, -0.5f, 1.0f));
    const float sine = quarter & 1 ? even : odd, cosine = quarter & 1 ? odd : even;
    s = quarter & 2 ? -sine : sine;
    c = (quarter + 1) & 2 ? -cosine : cosine;
}

INLINE Pair wave(Real t) {
    Pair w;
    wave_of(t, w.a, w.b);
    return w;
}
