# Numbers as decimal digits, eight at once: words of which each byte is one digit.
#
# Safety: each writes whole words, so that bytes behind those it counts are overwritten, too;
# the caller has the room that is said.
# Cost: three multiplications for eight digits, and no loop; the length is a count of zeros.
# Four digits at most are two pairs of a table.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    NUMBER_BYTES = 24

cdef extern from *:
    """
    #ifndef FAST_DIGITS
    #define FAST_DIGITS
    #include <stdint.h>
    #include <string.h>
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "digits are put together for machines whose lowest byte comes first"
    #endif

    #define FAST_ASCII 0x3030303030303030u
    #define FAST_EIGHT 100000000u

    /* 0 … 99,999,999 as eight digits, the first one in the lowest byte. Halves are parted
       into hundreds and these into tens, all of a kind at once: 10486 / 2**20 is 1/100 and
       103 / 2**10 is 1/10 for all that occurs. */
    static inline uint64_t fast_digits8(uint64_t number) {
        uint64_t halves = number / 10000 | (number % 10000) << 32;
        uint64_t tops = (halves * 10486 >> 20) & 0x0000007F0000007Fu;
        uint64_t pairs = tops | (halves - 100 * tops) << 16;
        tops = (pairs * 103 >> 10) & 0x000F000F000F000Fu;
        return tops | (pairs - 10 * tops) << 8;
    }

    static inline void fast_put8(char *out, uint64_t digits) {
        digits |= FAST_ASCII;
        memcpy(out, &digits, 8);
    }

    static inline void fast_eight_into(char *out, uint64_t number) {
        fast_put8(out, fast_digits8(number));
    }

    static inline size_t fast_head(char *out, uint64_t number) {
        uint64_t digits = fast_digits8(number);
        /* The last digit counts, whatever it is. */
        uint32_t zeros = (uint32_t)__builtin_ctzll(digits | (uint64_t)1 << 56) & 56u;
        digits = (digits | FAST_ASCII) >> zeros;
        memcpy(out, &digits, 8);
        return 8 - zeros / 8;
    }

    static const char FAST_PAIRS[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";

    static inline void fast_two_into(char *out, uint32_t number) {
        memcpy(out, FAST_PAIRS + 2 * number, 2);
    }

    /* Of four digits at most, as most numbers are. */
    static inline size_t fast_small(char *out, uint32_t number) {
        uint32_t top = number / 100;
        if (number < 10) {
            out[0] = (char)('0' + number);
            return 1;
        }
        if (number < 100) {
            fast_two_into(out, number);
            return 2;
        }
        fast_two_into(out, top);
        out[0] = top < 10 ? out[1] : out[0];
        fast_two_into(out + (top < 10 ? 1 : 2), number - 100 * top);
        return top < 10 ? 3 : 4;
    }

    static inline size_t fast_number(char *out, uint64_t number) {
        size_t length;
        if (number < 10000)
            return fast_small(out, (uint32_t)number);
        if (number < FAST_EIGHT)
            return fast_head(out, number);
        if (number < (uint64_t)FAST_EIGHT * FAST_EIGHT) {
            length = fast_head(out, number / FAST_EIGHT);
        } else {
            uint64_t top = number / FAST_EIGHT;
            length = fast_head(out, top / FAST_EIGHT);
            fast_put8(out + length, fast_digits8(top % FAST_EIGHT));
            length += 8;
        }
        fast_put8(out + length, fast_digits8(number % FAST_EIGHT));
        return length + 8;
    }

    /* Five digits before the point, three behind it; zeros at both ends are left out. */
    static inline size_t fast_thousandths(char *out, uint64_t number) {
        uint64_t digits = fast_digits8(number), places = digits >> 40;
        /* The last digit before the point counts, whatever it is. */
        uint32_t zeros = (uint32_t)__builtin_ctzll(digits | (uint64_t)1 << 32) & 56u;
        size_t length = 5 - zeros / 8;
        fast_put8(out, (digits | FAST_ASCII) >> zeros);
        if (places == 0)
            return length;
        out[length] = '.';
        fast_put8(out + length + 1, places);
        return length + 1 + (8 - (size_t)__builtin_clzll(places) / 8);
    }

    static inline size_t fast_fraction(char *out, uint64_t places) {
        uint64_t head = fast_digits8(places / FAST_EIGHT), tail = places % FAST_EIGHT;
        fast_put8(out, head);
        if (tail == 0)
            return head ? 8 - (size_t)__builtin_clzll(head) / 8 : 0;
        tail = fast_digits8(tail);
        fast_put8(out + 8, tail);
        return 16 - (size_t)__builtin_clzll(tail) / 8;
    }
    #endif
    """
    # How many digits were written; NUMBER_BYTES are to be had.
    size_t number_into "fast_number"(char* out, uint64_t number) noexcept nogil
    # Both of a number below 100; 2 bytes.
    void digits2_into "fast_two_into"(char* out, uint32_t number) noexcept nogil
    # All eight of a number below 100,000,000; 8 bytes.
    void digits8_into "fast_eight_into"(char* out, uint64_t number) noexcept nogil
    # A number below 100,000,000 as thousandths, 12345.678; 16 bytes.
    size_t thousandths_into "fast_thousandths"(char* out, uint64_t number) noexcept nogil
    # Sixteen places behind a point, of a number below 10**16, but for the zeros at its end;
    # how many are left. 16 bytes.
    size_t fraction_into "fast_fraction"(char* out, uint64_t places) noexcept nogil
