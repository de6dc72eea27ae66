# Hashes and random numbers: XXH3 of bytes, a mixer of words, shares of a million.
#
# The hash is XXH3-64 as its specification defines it, so that a bucket can be computed
# again anywhere (SQL, a notebook, another service) from the id and the seed alone.
# Rule 1: the same bytes and seed give the same hash on every machine and in every version.
# Rule 2: bucket_ppm is monotone in the hash, so raising a share from 5 % to 10 % keeps
#         everyone who was in the 5 %.
# Not for secrets: none of this resists someone who knows the seed.
# https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

cimport cython
from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    /* Both halves of a 64 by 64 bit product; gcc and clang have the type. */
    static inline uint64_t fast_product_high(uint64_t left, uint64_t right) {
        return (uint64_t)(((unsigned __int128)left * right) >> 64);
    }
    static inline uint64_t fast_product_fold(uint64_t left, uint64_t right) {
        unsigned __int128 product = (unsigned __int128)left * right;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t product_high "fast_product_high"(uint64_t left, uint64_t right) noexcept nogil
    uint64_t product_fold "fast_product_fold"(uint64_t left, uint64_t right) noexcept nogil

cdef enum:
    PPM = 1_000_000

cdef uint64_t xxh3(const char* data, size_t length, uint64_t seed) noexcept nogil

cdef inline uint32_t bucket_ppm(uint64_t hash) noexcept nogil:
    # 0 … 999,999, each for an equal share of all hashes. Cost: one multiplication.
    return <uint32_t>product_high(hash, PPM)

cdef inline uint64_t mix(uint64_t value) noexcept nogil:
    # A bijection in which each bit of the value changes half of the bits of the result
    # (SplitMix64's finaliser; Stafford's variant 13).
    value = (value ^ (value >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    value = (value ^ (value >> 27)) * <uint64_t>0x94D049BB133111EB
    return value ^ (value >> 31)

cdef inline uint64_t random_next(uint64_t* state) noexcept nogil:
    # SplitMix64: any state is a good one, 0 included; the period is 2**64.
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    return mix(state[0])

cdef inline double random_unit(uint64_t* state) noexcept nogil:
    # In [0, 1), a multiple of 2**-53.
    return <double>(random_next(state) >> 11) * (1.0 / <double>(<uint64_t>1 << 53))

cdef inline uint64_t random_below(uint64_t* state, uint64_t limit) noexcept nogil:
    # In 0 … limit - 1, and 0 for a limit of 0. The bias is at most limit / 2**64.
    return product_high(random_next(state), limit)


@cython.final
cdef class Random:
    # The generator above with a state of its own, for slow paths and tests.
    cdef uint64_t state
