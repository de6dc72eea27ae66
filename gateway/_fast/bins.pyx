"""Counting on frozen edges; see bins.pxd."""

from libc.math cimport INFINITY, copysign
from libc.stdint cimport uint64_t
from gateway._fast.scan cimport JSON_MISSING, JSON_NULL, JSON_NUMBER


cdef inline Py_ssize_t bin_of(const double* edges, Py_ssize_t half, double value) noexcept nogil:
    """How many of the 2 * half - 1 edges are at most the value."""
    cdef Py_ssize_t at = 0
    while half:
        at += half * (edges[at + half - 1] <= value)
        half >>= 1
    return at


cdef inline int64_t units_of(double value, double center, double per_unit) noexcept nogil:
    cdef double units = (value - center) * per_unit
    if units > FAR:
        return FAR
    if units < -FAR:
        return -FAR
    # Why not a branch: signs are chance.
    return <int64_t>(units + copysign(0.5, units))


cdef inline int special_of(uint8_t kind) noexcept nogil:
    if kind == JSON_MISSING:
        return SPECIAL_MISSING
    return SPECIAL_NULL if kind == JSON_NULL else SPECIAL_VIOLATION


cdef void bin_numbers(
    const double* values, const uint8_t* kinds, Py_ssize_t length,
    const double* edges, Py_ssize_t bins, Py_ssize_t steps, double center, double per_unit,
    int64_t* counts, Sums* sums,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double value, low = sums.low, high = sums.high
    cdef int64_t units
    for i in range(length):
        if kinds != NULL and kinds[i] != JSON_NUMBER:
            counts[bins + special_of(kinds[i])] += 1
            continue
        value = values[i]
        if not value - value == 0.0:
            if value != value:
                counts[bins + SPECIAL_NAN] += 1
            else:
                counts[bins + (SPECIAL_ABOVE if value > 0 else SPECIAL_BELOW)] += 1
            continue
        # Safety: edges has 2 * steps - 1 numbers, of which bins - 1 are finite.
        counts[bin_of(edges, steps, value)] += 1
        low = value if value < low else low
        high = value if value > high else high
        units = units_of(value, center, per_unit)
        sums.total += units
        sums.squares += <wide>units * <wide>units
    sums.low = low
    sums.high = high


cdef object joined(wide number):
    cdef object high = <int64_t>(number >> 64)
    cdef object low = <uint64_t>number
    return (high << 64) + low


def count_numbers(
    const double[::1] values not None,
    const uint8_t[::1] kinds,
    const double[::1] edges not None,
    double center,
    double per_unit,
    int64_t[::1] counts not None,
):
    """(sum of units, sum of their squares, lowest, highest) of the finite numbers.

    `edges` has 2^k - 1 numbers, `counts` the bins and the special cells: what is counted is
    added to it. Of no finite number the lowest is inf.
    """
    cdef Sums sums
    cdef Py_ssize_t bins = counts.shape[0] - SPECIALS
    cdef Py_ssize_t room = edges.shape[0] + 1
    cdef const uint8_t* given = NULL
    if room < 2 or room & (room - 1) or not 1 <= bins <= room:
        raise ValueError("edges are 2^k - 1, and no fewer than the bins less one")
    if bins < room and not edges[bins - 1] == INFINITY:
        raise ValueError("there are more finite edges than bins")
    sums.total = 0
    sums.squares = 0
    sums.low = INFINITY
    sums.high = -INFINITY
    if kinds is not None:
        if kinds.shape[0] != values.shape[0]:
            raise ValueError("each number has its kind")
        if kinds.shape[0]:
            given = &kinds[0]
    if values.shape[0]:
        # Safety: the views are held by the arguments.
        with nogil:
            bin_numbers(
                &values[0], given, values.shape[0], &edges[0], bins, room >> 1,
                center, per_unit, &counts[0], &sums,
            )
    return joined(sums.total), joined(sums.squares), sums.low, sums.high
