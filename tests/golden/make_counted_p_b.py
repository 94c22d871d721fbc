#!/usr/bin/env python3
"""Writes counted_p_b_40_digits.tsv: k_A, k_B, n, alpha, the upper bound of p_B and the radius at sigma = 1.

p_A's lower bound and p_B's upper bound are one-sided Clopper-Pearson bounds at alpha/2, the latter
no larger than 1 - p_A's; radius = (Phi^-1(p_A) - Phi^-1(p_B)) / 2, 0 where p_A <= p_B. Binomial tails
are summed term by term in 60 digits, independently of any beta function. Needs mpmath.
"""
import os

import mpmath as mp

mp.mp.dps = 60


def tail(k, n, p):
    """P(X >= k) and its derivative in p."""
    term = mp.binomial(n, k) * p**k * (1 - p) ** (n - k)
    slope = term * k / p
    total, odds = mp.mpf(0), p / (1 - p)
    for i in range(k, n + 1):
        total += term
        term *= odds * (n - i) / (i + 1)
        if term < mp.mpf(10) ** -70 * total:
            break
    return total, slope


def lower(k, n, alpha):
    if k == 0:
        return mp.mpf(0)
    if k == n:
        return alpha ** (mp.mpf(1) / n)
    low, high = mp.mpf(0), mp.mpf(k) / n
    p = high - 2 * mp.sqrt(high * (1 - high) / n)
    while True:
        if not low < p < high:
            p = (low + high) / 2
        value, slope = tail(k, n, p)
        if value > alpha:
            high = p
        else:
            low = p
        # Newton on the logarithm, which is nearly straight.
        step = value * mp.log(value / alpha) / slope
        p -= step
        if abs(step) < mp.mpf(10) ** -50:
            return p


def quantile(p):
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


CASES = {
    10: [(10, 0), (9, 1), (8, 1), (6, 2)],
    100: [(100, 0), (99, 1), (70, 20), (50, 30), (45, 10), (40, 38)],
    1000: [(1000, 0), (999, 1), (900, 50), (600, 100), (501, 499), (450, 300), (350, 200)],
    100000: [(100000, 0), (99990, 5), (99000, 1000), (60000, 1000), (40000, 20000), (34000, 33000)],
}

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "counted_p_b_40_digits.tsv"), "w", encoding="utf-8") as out:
        for n, pairs in CASES.items():
            for k_a, k_b in pairs:
                for text in ("0.05", "0.001", "1e-05"):
                    alpha = mp.mpf(float(text)) / 2
                    p_a = lower(k_a, n, alpha)
                    p_b = 1 - lower(n - k_b, n, alpha)
                    bound = min(p_b, 1 - p_a)
                    radius = (quantile(p_a) - quantile(bound)) / 2 if p_a > bound else mp.mpf(0)
                    out.write("\t".join(map(str, (k_a, k_b, n, text, mp.nstr(p_b, 40),
                                                  mp.nstr(radius, 40)))) + "\n")
