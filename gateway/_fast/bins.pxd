# Numbers of one field, counted on edges that never move.
#
# Counts, sums and squares are integers, so that what many processes counted adds up to the
# same bits in any order. For the sums a number is taken as a whole number of `unit`s from
# `center`, rounded to the nearest, and at most FAR of them away.
#
# Rule 1: number x is in bin b when b edges are at most x. Edges rise; the last is followed
#         by infinities up to a power of two, so that the search has no branch.
# Rule 2: what is no finite number goes to the special cells behind the bins.
# Cost: about 5 ns a number with 64 bins.

from libc.stdint cimport int64_t, uint8_t

cdef enum Special:                      # cells behind the bins, in this order
    SPECIAL_MISSING = 0                 # the field is not there
    SPECIAL_NULL = 1
    SPECIAL_NAN = 2
    SPECIAL_ABOVE = 3                   # plus infinity
    SPECIAL_BELOW = 4
    SPECIAL_UNSEEN = 5                  # a category that the reference does not name
    SPECIAL_VIOLATION = 6               # of another type
    SPECIALS = 7

cdef extern from *:
    """
    typedef __int128 fast_wide;
    #define FAST_FAR ((int64_t)1 << 43)
    """
    int64_t FAR "FAST_FAR"              # units; squares of 2^40 such numbers fit the sum
    ctypedef long long wide "fast_wide"

cdef struct Sums:
    wide total                          # of units
    wide squares
    double low                          # of the finite numbers
    double high

# counts: bins, then SPECIALS. kinds: Json of each number's text, or NULL: all are numbers.
cdef void bin_numbers(
    const double* values, const uint8_t* kinds, Py_ssize_t length,
    const double* edges, Py_ssize_t bins, Py_ssize_t steps, double center, double per_unit,
    int64_t* counts, Sums* sums,
) noexcept nogil
