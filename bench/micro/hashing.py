"""Hashes and random numbers. Budget: 25 ns for the bucket of a 36-byte id."""

from functools import partial

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.hashing cimport bucket_ppm, mix, random_below, random_next, random_unit, xxh3

cdef bytes BODY = bytes(range(256)) * 16
cdef const char* body = BODY

def hashes(size_t length, uint64_t operations):
    # Each hash waits for the one before, as a caller who needs the result does.
    cdef uint64_t index, seed = 1
    for index in range(operations):
        seed = xxh3(body, length, seed)
    return seed

def buckets(uint64_t operations):
    cdef uint64_t index, sum = 1
    for index in range(operations):
        sum += bucket_ppm(xxh3(body, 36, sum))
    return sum

def mixes(uint64_t operations):
    cdef uint64_t index, sum = 1
    for index in range(operations):
        sum = mix(sum + 1)
    return sum

def randoms(uint64_t operations):
    cdef uint64_t index, sum = 0, state = 1
    for index in range(operations):
        sum += random_below(&state, 1000)
    return sum

def units(uint64_t operations):
    cdef uint64_t index, state = 1
    cdef double sum = 0
    for index in range(operations):
        sum += random_unit(&state)
    return sum
"""

if __name__ == "__main__":
    module = compiled("bench_hashing", SOURCE)
    report("hashing/bucket_36", module.buckets, 5_000_000)
    for length in (8, 16, 36, 128, 240, 400, 1024, 4096):
        report(f"hashing/xxh3_{length}", partial(module.hashes, length), 500_000)
    report("hashing/mix", module.mixes, 10_000_000)
    report("hashing/random_below", module.randoms, 10_000_000)
    report("hashing/random_unit", module.units, 10_000_000)
