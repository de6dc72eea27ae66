# Sixteen bytes at a time, by the vectors of the C compiler: one source for SSE2 and NEON.
#
# Safety: each reads exactly the 16 (64, 17, 18) bytes from `at`; the caller knows they are there.

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef extern from *:
    """
    #ifndef FAST_BLOCKS
    #define FAST_BLOCKS
    #include <stdint.h>
    #include <string.h>

    typedef uint8_t fast_block __attribute__((vector_size(16)));
    typedef int8_t fast_signed __attribute__((vector_size(16)));

    static inline fast_block fast_load(const uint8_t *at) {
        fast_block block;
        memcpy(&block, at, 16);
        return block;
    }

    /* One bit a byte, the first byte lowest, of a block of 0x00 and 0xFF. */
    static inline uint32_t fast_bits(fast_block hits) {
    #ifdef __SSE2__
        typedef char fast_chars __attribute__((vector_size(16)));
        return (uint32_t)__builtin_ia32_pmovmskb128((fast_chars)hits);
    #else
        const uint64_t place = 0x8040201008040201u, sum = 0x0101010101010101u;
        uint64_t half[2];
        memcpy(half, &hits, 16);
        return (uint32_t)(((half[0] & place) * sum) >> 56)
             | (uint32_t)(((half[1] & place) * sum) >> 56) << 8;
    #endif
    }

    /* Plain JSON text: no quote, backslash, control, and ASCII. All but the backslash are
       one comparison of signed bytes: with the bit 2 turned over, the quote, 0x22, comes
       right behind the controls. */
    static inline fast_block fast_plain(const uint8_t *at) {
        fast_block block = fast_load(at);
        return (fast_block)((fast_signed)(block ^ 0x02) > 0x20) & ~(fast_block)(block == 0x5C);
    }

    static inline uint32_t plain16(const uint8_t *at) {
        return (uint32_t)__builtin_ctz(~fast_bits(fast_plain(at)));
    }

    static inline uint32_t plain_tail(const uint8_t *end, uint32_t length) {
        return (uint32_t)__builtin_ctz(~fast_bits(fast_plain(end - 16)) >> (16 - length));
    }

    static inline int is_plain64(const uint8_t *at) {
        return fast_bits(fast_plain(at) & fast_plain(at + 16)
                       & fast_plain(at + 32) & fast_plain(at + 48)) == 0xFFFF;
    }

    static inline uint32_t digits16(const uint8_t *at) {
        return fast_bits((fast_block)(fast_load(at) - '0' <= 9));
    }

    /* Digits, signs, the point and the slash: 0x2B to 0x39 without the comma. */
    static inline uint32_t numeric16(const uint8_t *at) {
        fast_block block = fast_load(at);
        return fast_bits((fast_block)(block - 0x2B <= 14) & (fast_block)(block != ','));
    }

    /* What ends checked JSON text or escapes in it. */
    static inline uint32_t quotes16(const uint8_t *at) {
        fast_block block = fast_load(at);
        return fast_bits((fast_block)(block == '"') | (fast_block)(block == 0x5C));
    }

    /* Quotes and brackets: "[" and "]" are "{" and "}" without the bit 0x20. */
    static inline uint32_t nests16(const uint8_t *at) {
        fast_block block = fast_load(at), folded = block | 0x20;
        return fast_bits((fast_block)(block == '"') | (fast_block)(folded == '{')
                       | (fast_block)(folded == '}'));
    }

    /* Letters, digits and the dash: what names of fields are made of. */
    static inline uint32_t named16(const uint8_t *at) {
        fast_block block = fast_load(at), folded = block | 0x20;
        return fast_bits((fast_block)(folded - 'a' <= 25) | (fast_block)(block - '0' <= 9)
                       | (fast_block)(block == '-'));
    }

    /* Visible ASCII but "#": what a request's target is made of. */
    static inline uint32_t target16(const uint8_t *at) {
        fast_block block = fast_load(at);
        return fast_bits((fast_block)((fast_signed)block > 0x20) & (fast_block)(block != 0x7F)
                       & (fast_block)(block != '#'));
    }

    static inline uint32_t controls16(const uint8_t *at) {
        fast_block block = fast_load(at);
        return fast_bits(((fast_block)(block < 0x20) & (fast_block)(block != 0x09)
                        & (fast_block)(block != 0x0A) & (fast_block)(block != 0x0D))
                       | (fast_block)(block == 0x7F));
    }

    static inline uint32_t equal16(const uint8_t *at, uint8_t byte) {
        return fast_bits((fast_block)(fast_load(at) == byte));
    }

    /* An LF, then another one or CR LF. */
    static inline uint32_t empty16(const uint8_t *at) {
        fast_block second = fast_load(at + 1);
        return fast_bits((fast_block)(fast_load(at) == 0x0A)
                       & ((fast_block)(second == 0x0A)
                          | ((fast_block)(second == 0x0D) & (fast_block)(fast_load(at + 2) == 0x0A))));
    }

    static inline uint32_t differing16(const uint8_t *one, const uint8_t *other) {
        return fast_bits((fast_block)(fast_load(one) != fast_load(other)));
    }

    static inline uint32_t last_bit16(uint32_t bits) {
        return 31 - (uint32_t)__builtin_clz(bits);
    }

    static inline uint32_t breaks16(const uint8_t *at) {
        fast_block block = fast_load(at);
        return fast_bits((fast_block)(block == 0x0A) | (fast_block)(block == 0x0D));
    }

    static inline uint32_t quoted16(const uint8_t *at, const uint8_t *letters, uint32_t count) {
        fast_block first = fast_load(at), second = fast_load(at + 1), named = {0};
        for (uint32_t n = 0; n < count; n++)
            named |= (fast_block)(second == fast_load(letters + 16 * n));
        return fast_bits(((fast_block)(first == '"') & named)
                       | ((fast_block)(first == 0x5C) & (fast_block)(second == 'u')));
    }

    static inline int is_same(const uint8_t *at, const uint8_t *text, uint32_t length) {
        for (; length > 16; length -= 16, at += 16, text += 16)
            if (fast_bits((fast_block)(fast_load(at) == fast_load(text))) != 0xFFFF)
                return 0;
        return (~fast_bits((fast_block)(fast_load(at) == fast_load(text)))
                & ((1u << length) - 1)) == 0;
    }

    static inline int is_alike(const uint8_t *one, const uint8_t *other, uint32_t length) {
        if (length >= 8)
            return memcmp(one, other, 8) == 0 && (length == 8
                || (length <= 16 ? memcmp(one + length - 8, other + length - 8, 8)
                                 : memcmp(one + 8, other + 8, length - 8)) == 0);
        if (length >= 4)
            return memcmp(one, other, 4) == 0
                && memcmp(one + length - 4, other + length - 4, 4) == 0;
        return length == 0 || (one[0] == other[0] && one[length / 2] == other[length / 2]
                               && one[length - 1] == other[length - 1]);
    }
    #endif
    """
    int __builtin_ctz(unsigned int bits) noexcept nogil     # of a number other than 0
    uint32_t plain16(const uint8_t* at) noexcept nogil      # plain text before a special byte
    # The same in the last bytes before `end`, at most 16. Reads the 16 before `end`.
    uint32_t plain_tail(const uint8_t* end, uint32_t length) noexcept nogil
    bint is_plain64(const uint8_t* at) noexcept nogil
    uint32_t digits16(const uint8_t* at) noexcept nogil     # bits of the digits
    uint32_t numeric16(const uint8_t* at) noexcept nogil    # bits of "+-./0-9"
    uint32_t quotes16(const uint8_t* at) noexcept nogil     # bits of quotes and backslashes
    uint32_t nests16(const uint8_t* at) noexcept nogil      # bits of quotes and brackets
    uint32_t named16(const uint8_t* at) noexcept nogil      # bits of letters, digits and dashes
    uint32_t target16(const uint8_t* at) noexcept nogil     # bits of visible ASCII but "#"
    uint32_t controls16(const uint8_t* at) noexcept nogil   # … of controls but HTAB, CR and LF
    uint32_t equal16(const uint8_t* at, uint8_t byte) noexcept nogil
    # Bits where an LF stands before another one or CR LF. Reads 18 bytes.
    uint32_t empty16(const uint8_t* at) noexcept nogil
    uint32_t differing16(const uint8_t* one, const uint8_t* other) noexcept nogil
    uint32_t last_bit16(uint32_t bits) noexcept nogil       # the highest, of a number other than 0
    uint32_t breaks16(const uint8_t* at) noexcept nogil     # bits of CR and LF
    # Bits where a quote stands before one of `count` letters (each given 16 times), or
    # a backslash before `u`. Reads 17 bytes.
    uint32_t quoted16(const uint8_t* at, const uint8_t* letters, uint32_t count) noexcept nogil
    # Whether both have the same bytes. For texts of a few bytes: no call for up to 16.
    bint is_alike(const uint8_t* one, const uint8_t* other, uint32_t length) noexcept nogil
    # Whether both begin with the same bytes. Reads up to 16 bytes more than these.
    bint is_same(const uint8_t* at, const uint8_t* text, uint32_t length) noexcept nogil

cdef inline const uint8_t* whole_number_end(const uint8_t* at) noexcept nogil:
    """Behind a whole number right before a comma or bracket, or NULL: look closer.

    Safety: 17 bytes can be read, and the first one is a digit.
    """
    cdef uint32_t length = __builtin_ctz(~digits16(at))
    if at[length] != c',' and at[length] | 0x20 != c'}' or at[0] == c'0' and length > 1:
        return NULL
    return at + length


cdef inline const uint8_t* plain_number_end_in(
    const uint8_t* at, int64_t room
) noexcept nogil:
    """Behind a number of at most 31 bytes with no exponent, or NULL: look closer.

    Why: numbers of an array differ in length and sign, and each loop over digits ends
    in a mispredicted branch; two masks tell the shape without one (bench/micro/splice.py).
    Safety: `room` bytes can be read, 17 at least; under 32 the number has at most 15.
    """
    cdef uint32_t numeric = numeric16(at)
    cdef uint32_t digits = digits16(at)
    cdef uint32_t length, sign, others, whole
    if numeric == 0xFFFF:
        if room < 32:
            return NULL
        numeric |= numeric16(at + 16) << 16
        digits |= digits16(at + 16) << 16
        if numeric == <uint32_t>0xFFFFFFFF:
            return NULL
    length = __builtin_ctz(~numeric)
    sign = at[0] == c'-'
    others = ~digits & ((1u << length) - 1) & ~sign
    whole = length
    if others:
        whole = __builtin_ctz(others)
        if others & (others - 1) or at[whole] != c'.' or whole + 1 == length:
            return NULL
    if whole <= sign or at[length] | 0x20 == c'e' or at[sign] == c'0' and whole > sign + 1:
        return NULL
    return at + length


cdef inline const uint8_t* plain_number_end(const uint8_t* at) noexcept nogil:
    """The same. Safety: 32 bytes can be read."""
    return plain_number_end_in(at, 32)
