/* What a C programmer would write by hand: the yardstick of benchmarks/adaptive.py.

   Update n-1 and dot product n in one pass over the weights, contiguous history (newest last), running
   power in double, no guards. Built twice, for float and double. */

#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)
#define NAME(kernel) NAMED(kernel, real)

/* x: taps samples of history, then n; w: last tap first. */
void NAME(nlms)(const real *restrict x, const real *restrict d, real *restrict e,
                real *restrict w, long n, long taps, double step, double delta)
{
    double power = 0.0;
    real update = 0;
    for (long k = 1; k <= taps; k++)
        power += (double)x[k - 1] * x[k - 1];
    for (long i = 0; i < n; i++) {
        const real *before = x + i, *now = x + i + 1;
        real estimate = 0;
        for (long k = 0; k < taps; k++) {
            real tap = w[k] + update * before[k];
            w[k] = tap;
            estimate += tap * now[k];
        }
        power += (double)now[taps - 1] * now[taps - 1] - (double)before[0] * before[0];
        e[i] = d[i] - estimate;
        update = (real)(step * e[i] / (power + delta));
    }
}

static inline real dot(const real *restrict a, const real *restrict b, long count)
{
    real total = 0;
    for (long k = 0; k < count; k++)
        total += a[k] * b[k];
    return total;
}

/* x: taps samples of history, then n; filtered: the same, through the path, written; driven: path_taps
   of history, then n, written; w, s: last tap first; taps >= path_taps. */
void NAME(fxnlms)(const real *restrict x, const real *restrict d, real *restrict e,
                  real *restrict w, const real *restrict s, real *restrict filtered,
                  real *restrict driven, long n, long taps, long path_taps, double step,
                  double delta)
{
    double power = 0.0;
    real update = 0;
    for (long i = 0; i < n; i++) {
        const real *before = filtered + i, *now = x + i + 1;
        real command = 0;
        for (long k = 0; k < taps; k++) {
            real tap = w[k] + update * before[k];
            w[k] = tap;
            command += tap * now[k];
        }
        driven[path_taps + i] = command;
        real fresh = dot(s, x + taps + i - path_taps + 1, path_taps);
        power += (double)fresh * fresh - (double)filtered[i] * filtered[i];
        filtered[taps + i] = fresh;
        e[i] = d[i] + dot(s, driven + i + 1, path_taps);
        update = (real)(-step * e[i] / (power + delta));
    }
}

/* The modified form: the error that these weights would make; the averaged ones are heard. */
void NAME(fxnlms_modified)(const real *restrict x, const real *restrict d, real *restrict e,
                           real *restrict w, real *restrict averaged, const real *restrict s,
                           real *restrict filtered, real *restrict driven, long n, long taps,
                           long path_taps, double step, double delta, double share)
{
    double power = 0.0;
    real update = 0;
    for (long i = 0; i < n; i++) {
        const real *before = filtered + i, *now = filtered + i + 1;
        real fresh = dot(s, x + taps + i - path_taps + 1, path_taps);
        power += (double)fresh * fresh - (double)filtered[i] * filtered[i];
        filtered[taps + i] = fresh;
        real foreseen = 0;
        for (long k = 0; k < taps; k++) {
            real tap = w[k] + update * before[k];
            w[k] = tap;
            foreseen += tap * now[k];
        }
        driven[path_taps + i] = dot(averaged, x + i + 1, taps);
        e[i] = d[i] + dot(s, driven + i + 1, path_taps);
        update = (real)(-step * (d[i] + foreseen) / (power + delta));
        if (i % 32 == 31)
            for (long k = 0; k < taps; k++)
                averaged[k] += (real)share * (w[k] - averaged[k]);
    }
}
