#!/usr/bin/env python3
"""Writes lattice_weights.txt: weights of the rounded Gaussian, independently of the library.

Needs mpmath. Lines: `sigma L k floor(2^64 P(N=k))` for selected k > 0; `sigma L 0 w0` with the
remainder; `sigma L slack d` with the exact total-variation distance to 20 digits.
"""
import mpmath as mp

mp.mp.dps = 60


def tail(k, s):
    return mp.erfc((mp.mpf(k) - mp.mpf("0.5")) / (s * mp.sqrt(2))) / 2


with open("lattice_weights.txt", "w") as out:
    for sigma, length in (("0.25", 11), ("0.5", 12), ("1", 12), ("0.12", 9)):
        s = 255 * mp.mpf(float(sigma))  # the double that the program is given
        half = 1 << (length - 1)
        w = {k: int(mp.floor((tail(k, s) - tail(k + 1, s)) * 2**64)) for k in range(1, half)}
        w0 = 2**64 - 2 * sum(w.values())
        p = {k: tail(k, s) - tail(k + 1, s) for k in w}
        tv = w0 / mp.mpf(2) ** 64 - (1 - 2 * tail(1, s))
        direct = sum(2 * abs(p[k] - w[k] / mp.mpf(2) ** 64) for k in w) + 2 * tail(half, s) + tv
        assert mp.almosteq(direct / 2, tv, 1e-15)
        print(sigma, length, 0, w0, file=out)
        for k in sorted({1, 2, 3, 5, 8, 13, 50, 100, 200, 255, 300, 400, 500, 583, 584, 585, 700,
                         1000, 1023, 1167, 1168, 1500, 2000, 2047} & set(w)):
            print(sigma, length, k, w[k], file=out)
        print(sigma, length, "slack", mp.nstr(tv, 20), file=out)
