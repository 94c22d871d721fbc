#!/usr/bin/env python3
"""Writes slack_radii_40_digits.tsv: q_a, p_b, delta (exact doubles), Φ⁻¹(1−q_a) − Φ⁻¹(½+δ), and the
largest r with Φ(a − r) − Φ(b + r) ≥ 2δ, a = Φ⁻¹(1−q_a), b = Φ⁻¹(p_b); "-" where there is none.
Needs mpmath."""
from pathlib import Path

from mpmath import erfc, erfinv, findroot, mp, mpf, sqrt

mp.dps = 60


def cdf(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def quantile(p):
    """By Newton from the nearest that erfinv gives: it loses digits in the tails."""
    start = sqrt(mpf(2)) * erfinv(2 * p - 1)
    return findroot(lambda x: cdf(x) - p, start)


def root(f, low, high):
    for _ in range(190):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) >= 0 else (low, middle)
    return low


def main():
    rows = []
    for q_a in [1e-9, 1e-6, 0.001, 0.05, 0.3, 0.45, 0.4999, 0.6]:
        for p_b in [1e-12, 1e-5, 0.002, 0.2, 0.35, q_a]:
            for delta in [1e-15, 1e-12, 1e-7, 1e-4, 0.01, 0.1]:
                q, p, d = mpf(q_a), mpf(p_b), mpf(delta)
                if q + p >= 1:
                    continue
                complement = quantile(1 - q) - quantile(mpf(1) / 2 + d) if q < mpf(1) / 2 else mpf(-1)
                a, b = quantile(1 - q), quantile(p)
                margin = lambda r: cdf(a - r) - cdf(b + r) - 2 * d
                counted = root(margin, mpf(0), (a - b) / 2) if margin(mpf(0)) >= 0 else mpf(-1)
                text = [mp.nstr(x, 40) if x > 0 else "-" for x in (complement, counted)]
                rows.append("\t".join([repr(q_a), repr(p_b), repr(delta)] + text))
    Path(__file__).with_name("slack_radii_40_digits.tsv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
