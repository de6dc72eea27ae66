# Numbers as JSON writes them, as doubles: the nearest one, ties to even, as strtod has it.
#
# Up to 19 digits are one integer w, so the number is w * 10^e. Three ways, first that fits:
#   1. w below 2^53 and |e| at most 22: both are doubles, one operation rounds once.
#   2. |e| at most MAX_POWER: w, shifted to the top of 64 bits, times the first 64 bits of
#      10^e. What was cut off 10^e adds less than one to the product's upper half, so its
#      rounding is known unless the bits to be dropped are the half itself or one below it.
#   3. strtod.
#
# Rule: the text was checked by a scan.
# Cost: about 1 ns a digit; 3 ns in all, where the end is known and no exponent is there.

from libc.stdint cimport uint8_t

cdef enum:
    MAX_POWER = 60

# Behind the number at `at`, which is before `end`; its value in out.
cdef const uint8_t* read_decimal(
    const uint8_t* at, const uint8_t* end, double* out
) noexcept nogil

# The same of a number whose end is known, in data that begin at `base`.
cdef double decimal_of(
    const uint8_t* base, const uint8_t* at, const uint8_t* end
) noexcept nogil
