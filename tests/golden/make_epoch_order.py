#!/usr/bin/env python3
"""Writes epoch_order.txt: orders of small epochs, and the SHA-256 (of 32-bit little-endian words)
of a full-size one, independently of the library. Lines: `seed epoch count order...` or
`seed epoch count sha256 digest`.
"""
import hashlib
import os
import struct

MASK = 0xFFFFFFFF
SHUFFLE = 8


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def words(seed, epoch):
    group = 0
    while True:
        yield from philox([group, epoch, 0, SHUFFLE], [seed & MASK, seed >> 32])
        group += 1


def below(stream, bound):
    """Lemire's unbiased bounded draw: one word, and another where it falls in the short part."""
    while True:
        product = next(stream) * bound
        if (product & MASK) >= 2**32 % bound:
            return product >> 32


def order(count, seed, epoch):
    stream, o = words(seed, epoch), list(range(count))
    for i in range(count, 1, -1):
        j = below(stream, i)
        o[i - 1], o[j] = o[j], o[i - 1]
    return o


with open(os.path.join(os.path.dirname(__file__), "epoch_order.txt"), "w") as out:
    for seed, epoch in ((42, 3), (2**40 + 5, 0), (0, 0)):
        print(seed, epoch, 12, *order(12, seed, epoch), file=out)
    digest = hashlib.sha256(struct.pack("<60000I", *order(60000, 0, 1))).hexdigest()
    print(0, 1, 60000, "sha256", digest, file=out)
