"""XXH3-64, written from its specification: one function a class of lengths.

Inputs up to 240 bytes are folded with 64 by 64 bit products of words keyed by a fixed
secret; longer ones run through eight lanes, a stripe of 64 bytes at a time, scrambled
every 1,024 bytes; these are vectors of the C compiler, two lanes each.

Cost: about 6 ns for an id, 0.04 ns a byte for bodies (bench/micro/hashing.py).
Checked against the xxhash package over every length to 1,100 in tests/fast/test_hashing.py.
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #define PRIME32_1 UINT64_C(0x9E3779B1)
    #define PRIME32_2 UINT64_C(0x85EBCA77)
    #define PRIME32_3 UINT64_C(0xC2B2AE3D)
    #define PRIME64_1 UINT64_C(0x9E3779B185EBCA87)
    #define PRIME64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
    #define PRIME64_3 UINT64_C(0x165667B19E3779F9)
    #define PRIME64_4 UINT64_C(0x85EBCA77C2B2AE63)
    #define PRIME64_5 UINT64_C(0x27D4EB2F165667C5)
    #define PRIME_MX1 UINT64_C(0x165667919E3779F9)
    #define PRIME_MX2 UINT64_C(0x9FB21C651E98DF25)

    /* The specification's default secret. */
    static const char SECRET[192] __attribute__((aligned(64))) =
        "\\xb8\\xfe\\x6c\\x39\\x23\\xa4\\x4b\\xbe\\x7c\\x01\\x81\\x2c\\xf7\\x21\\xad\\x1c"
        "\\xde\\xd4\\x6d\\xe9\\x83\\x90\\x97\\xdb\\x72\\x40\\xa4\\xa4\\xb7\\xb3\\x67\\x1f"
        "\\xcb\\x79\\xe6\\x4e\\xcc\\xc0\\xe5\\x78\\x82\\x5a\\xd0\\x7d\\xcc\\xff\\x72\\x21"
        "\\xb8\\x08\\x46\\x74\\xf7\\x43\\x24\\x8e\\xe0\\x35\\x90\\xe6\\x81\\x3a\\x26\\x4c"
        "\\x3c\\x28\\x52\\xbb\\x91\\xc3\\x00\\xcb\\x88\\xd0\\x65\\x8b\\x1b\\x53\\x2e\\xa3"
        "\\x71\\x64\\x48\\x97\\xa2\\x0d\\xf9\\x4e\\x38\\x19\\xef\\x46\\xa9\\xde\\xac\\xd8"
        "\\xa8\\xfa\\x76\\x3f\\xe3\\x9c\\x34\\x3f\\xf9\\xdc\\xbb\\xc7\\xc7\\x0b\\x4f\\x1d"
        "\\x8a\\x51\\xe0\\x4b\\xcd\\xb4\\x59\\x31\\xc8\\x9f\\x7e\\xc9\\xd9\\x78\\x73\\x64"
        "\\xea\\xc5\\xac\\x83\\x34\\xd3\\xeb\\xc3\\xc5\\x81\\xa0\\xff\\xfa\\x13\\x63\\xeb"
        "\\x17\\x0d\\xdd\\x51\\xb7\\xf0\\xda\\x49\\xd3\\x16\\x55\\x26\\x29\\xd4\\x68\\x9e"
        "\\x2b\\x16\\xbe\\x58\\x7d\\x47\\xa1\\xfc\\x8f\\xf8\\xb8\\xd1\\x7a\\xd0\\x31\\xce"
        "\\x45\\xcb\\x3a\\x8f\\x95\\x16\\x04\\x28\\xaf\\xd7\\xfb\\xca\\xbb\\x4b\\x40\\x7e";

    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define FROM_LITTLE_32(word) (word)
    #define FROM_LITTLE_64(word) (word)
    #else
    #define FROM_LITTLE_32(word) __builtin_bswap32(word)
    #define FROM_LITTLE_64(word) __builtin_bswap64(word)
    #endif

    /* Safety: memcpy is how C reads an unaligned word; it compiles to one load. */
    static inline uint64_t read_64(const char *data) {
        uint64_t word;
        memcpy(&word, data, 8);
        return FROM_LITTLE_64(word);
    }
    static inline uint64_t read_32(const char *data) {
        uint32_t word;
        memcpy(&word, data, 4);
        return FROM_LITTLE_32(word);
    }
    static inline void write_64(char *data, uint64_t word) {
        word = FROM_LITTLE_64(word);
        memcpy(data, &word, 8);
    }

    /* Two lanes of eight. */
    typedef uint64_t hash_pair __attribute__((vector_size(16)));

    static inline hash_pair pair_at(const char *data) {
        hash_pair pair;
        memcpy(&pair, data, 16);
        return (hash_pair){FROM_LITTLE_64(pair[0]), FROM_LITTLE_64(pair[1])};
    }
    /* Products of the lower halves. Why by name: compilers do not see that the upper ones are 0. */
    static inline hash_pair low_products(hash_pair left, hash_pair right) {
    #ifdef __SSE2__
        typedef int hash_words __attribute__((vector_size(16)));
        return (hash_pair)__builtin_ia32_pmuludq128((hash_words)left, (hash_words)right);
    #else
        return (left & 0xFFFFFFFF) * (right & 0xFFFFFFFF);
    #endif
    }
    /* Stripes of 64 bytes, each keyed eight bytes further along the secret. */
    static inline void take_stripes(
        hash_pair *lanes, const char *data, size_t stripes, const char *secret
    ) {
        /* Why apart: a word is added to its neighbour's lane, and changing places once is enough. */
        hash_pair words[4] = {{0}};
        for (size_t stripe = 0; stripe < stripes; stripe++)
            for (int n = 0; n < 4; n++) {
                hash_pair word = pair_at(data + 64 * stripe + 16 * n);
                hash_pair keyed = word ^ pair_at(secret + 8 * stripe + 16 * n);
                words[n] += word;
                lanes[n] += low_products(keyed, keyed >> 32);
            }
        for (int n = 0; n < 4; n++)
            lanes[n] += (hash_pair){words[n][1], words[n][0]};
    }
    static inline void scramble(hash_pair *lanes, const char *secret) {
        const hash_pair prime = {PRIME32_1, PRIME32_1};
        for (int n = 0; n < 4; n++) {
            hash_pair lane = lanes[n] ^ (lanes[n] >> 47) ^ pair_at(secret + 16 * n);
            lanes[n] = low_products(lane, prime) + (low_products(lane >> 32, prime) << 32);
        }
    }
    /* More than 240 bytes into eight lanes. Safety: reads data[0] to data[length - 1], and the
       secret below its 192 bytes. */
    static void fill_lanes(uint64_t *out, const char *data, size_t length, const char *secret) {
        const char *last = data + length - 64;
        hash_pair lanes[4] = {
            {PRIME32_3, PRIME64_1}, {PRIME64_2, PRIME64_3},
            {PRIME64_4, PRIME32_2}, {PRIME64_5, PRIME32_1},
        };
        /* Why length - 1: the last stripe is always taken apart from the others, below. */
        size_t stripes = (length - 1) / 64;
        for (; stripes >= 16; stripes -= 16, data += 1024) {
            take_stripes(lanes, data, 16, secret);
            scramble(lanes, secret + 128);
        }
        take_stripes(lanes, data, stripes, secret);
        take_stripes(lanes, last, 1, secret + 121);
        memcpy(out, lanes, 64);
    }
    """
    void fill_lanes(uint64_t* out, const char* data, size_t length, const char* secret) noexcept nogil
    const uint64_t PRIME64_1, PRIME64_2, PRIME64_3
    const uint64_t PRIME_MX1, PRIME_MX2
    const char[192] SECRET
    uint64_t read_64(const char* data) noexcept nogil
    uint64_t read_32(const char* data) noexcept nogil
    void write_64(char* data, uint64_t word) noexcept nogil
    uint64_t __builtin_bswap64(uint64_t word) noexcept nogil
    uint32_t __builtin_bswap32(uint32_t word) noexcept nogil

cdef enum:
    LANES = 8
    SECRET_SIZE = 192


# Finalisers

cdef inline uint64_t rotated(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))

cdef inline uint64_t avalanche(uint64_t word) noexcept nogil:
    word = (word ^ (word >> 37)) * PRIME_MX1
    return word ^ (word >> 32)

cdef inline uint64_t avalanche_64(uint64_t word) noexcept nogil:
    # XXH64's, which the shortest inputs use.
    word = (word ^ (word >> 33)) * PRIME64_2
    word = (word ^ (word >> 29)) * PRIME64_3
    return word ^ (word >> 32)


# One function a class of lengths. Safety: each reads only data[0] … data[length - 1],
# given the range in its name, and the secret below its 192 bytes.

cdef inline uint64_t hash_1_to_3(const char* data, size_t length, uint64_t seed) noexcept nogil:
    cdef uint64_t word = (
        <uint64_t><uint8_t>data[length - 1]
        | <uint64_t>length << 8
        | <uint64_t><uint8_t>data[0] << 16
        | <uint64_t><uint8_t>data[length >> 1] << 24
    )
    return avalanche_64(word ^ ((read_32(SECRET) ^ read_32(SECRET + 4)) + seed))

cdef inline uint64_t hash_4_to_8(const char* data, size_t length, uint64_t seed) noexcept nogil:
    seed ^= <uint64_t>__builtin_bswap32(<uint32_t>seed) << 32
    cdef uint64_t word = read_32(data + length - 4) + (read_32(data) << 32)
    word ^= (read_64(SECRET + 8) ^ read_64(SECRET + 16)) - seed
    word ^= rotated(word, 49) ^ rotated(word, 24)
    word *= PRIME_MX2
    word ^= (word >> 35) + length
    word *= PRIME_MX2
    return word ^ (word >> 28)

cdef inline uint64_t hash_9_to_16(const char* data, size_t length, uint64_t seed) noexcept nogil:
    cdef uint64_t low = (read_64(SECRET + 24) ^ read_64(SECRET + 32)) + seed
    cdef uint64_t high = (read_64(SECRET + 40) ^ read_64(SECRET + 48)) - seed
    low ^= read_64(data)
    high ^= read_64(data + length - 8)
    return avalanche(length + __builtin_bswap64(low) + high + product_fold(low, high))

cdef inline uint64_t fold_16(const char* data, const char* secret, uint64_t seed) noexcept nogil:
    return product_fold(
        read_64(data) ^ (read_64(secret) + seed),
        read_64(data + 8) ^ (read_64(secret + 8) - seed),
    )

cdef inline uint64_t hash_17_to_128(const char* data, size_t length, uint64_t seed) noexcept nogil:
    # Pairs of 16 bytes, the outermost first in memory and last in the sum.
    cdef uint64_t sum = length * PRIME64_1
    cdef size_t pair
    for pair in range((length - 1) // 32 + 1):
        sum += fold_16(data + 16 * pair, SECRET + 32 * pair, seed)
        sum += fold_16(data + length - 16 * (pair + 1), SECRET + 32 * pair + 16, seed)
    return avalanche(sum)

cdef uint64_t hash_129_to_240(const char* data, size_t length, uint64_t seed) noexcept nogil:
    cdef uint64_t sum = length * PRIME64_1
    cdef size_t step
    for step in range(8):
        sum += fold_16(data + 16 * step, SECRET + 16 * step, seed)
    sum = avalanche(sum)
    for step in range(8, length // 16):
        sum += fold_16(data + 16 * step, SECRET + 16 * (step - 8) + 3, seed)
    sum += fold_16(data + length - 16, SECRET + 136 - 17, seed)
    return avalanche(sum)


# Above 240 bytes: eight lanes.

cdef inline uint64_t merged(const uint64_t* lanes, const char* secret, uint64_t sum) noexcept nogil:
    cdef int pair
    for pair in range(LANES // 2):
        sum += product_fold(
            lanes[2 * pair] ^ read_64(secret + 16 * pair),
            lanes[2 * pair + 1] ^ read_64(secret + 16 * pair + 8),
        )
    return avalanche(sum)

cdef inline void seed_secret(char* secret, uint64_t seed) noexcept nogil:
    cdef int offset
    for offset in range(0, SECRET_SIZE, 16):
        write_64(secret + offset, read_64(SECRET + offset) + seed)
        write_64(secret + offset + 8, read_64(SECRET + offset + 8) - seed)

cdef uint64_t hash_long(const char* data, size_t length, const char* secret) noexcept nogil:
    cdef uint64_t[LANES] lanes
    fill_lanes(lanes, data, length, secret)
    return merged(lanes, secret + 11, length * PRIME64_1)

cdef uint64_t hash_long_seeded(const char* data, size_t length, uint64_t seed) noexcept nogil:
    cdef char[SECRET_SIZE] secret
    if seed == 0:
        return hash_long(data, length, SECRET)
    seed_secret(secret, seed)
    return hash_long(data, length, secret)


cdef uint64_t xxh3(const char* data, size_t length, uint64_t seed) noexcept nogil:
    if length > 240:
        return hash_long_seeded(data, length, seed)
    if length > 128:
        return hash_129_to_240(data, length, seed)
    if length > 16:
        return hash_17_to_128(data, length, seed)
    if length > 8:
        return hash_9_to_16(data, length, seed)
    if length > 3:
        return hash_4_to_8(data, length, seed)
    if length > 0:
        return hash_1_to_3(data, length, seed)
    return avalanche_64(seed ^ read_64(SECRET + 56) ^ read_64(SECRET + 64))


# What Python calls.

def hash_of(data, uint64_t seed=0) -> int:
    """XXH3-64 of any bytes-like object."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        # Safety: the view holds the buffer still until it is released.
        return xxh3(<const char*>view.buf, <size_t>view.len, seed)
    finally:
        PyBuffer_Release(&view)


def ppm_of(uint64_t word) -> int:
    """The millionth, 0 … 999,999, that a hash falls into; equal shares, monotone."""
    return bucket_ppm(word)


def mixed(uint64_t value) -> int:
    return mix(value)


@cython.final
cdef class Random:
    """SplitMix64: a fast generator for sampling and jitter, not for secrets."""

    def __cinit__(self, uint64_t seed):
        self.state = seed

    def next(self) -> int:
        return random_next(&self.state)

    def unit(self) -> float:
        """In [0, 1)."""
        return random_unit(&self.state)

    def below(self, uint64_t limit) -> int:
        """In 0 … limit - 1, and 0 for a limit of 0."""
        return random_below(&self.state, limit)
