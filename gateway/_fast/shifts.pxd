# How far the numbers of many fields have moved from their reference's: what the tests of a look
# need of the counts, in one pass, and what their p-values say together.
#
# The formulas are those of statistics/distances.py and drift/groups.py, which tests hold beside
# this. Gamma, beta and Kolmogorov's functions are scipy's: the caller computes them between
# `measure` and `judge`, a row of `out` at a time, from the arguments that stand in it.
#
# Rule: figures go into rows of `out`, a column a field; nothing is kept of a look.
# Cost: about 10 us for 20 fields of 64 bins; most of it logarithms.

from libc.stdint cimport int64_t

cdef enum:                              # rows of `out`
    FIGURE_ROWS = 0                     # values of the current sample, whatever they are
    FIGURE_PSI = 1
    FIGURE_PSI_EFFECT = 2
    FIGURE_PSI_SCALED = 3               # half the chi-square number
    FIGURE_KS = 4
    FIGURE_KS_EFFECT = 5
    FIGURE_KS_SCALED = 6                # Kolmogorov's
    FIGURE_W1 = 7                       # in the reference's deviations
    FIGURE_W1_EFFECT = 8
    FIGURE_W1_SHAPE = 9                 # of the gamma distribution of the net …
    FIGURE_W1_FAR = 10                  # … where its upper tail begins …
    FIGURE_W1_NEAR = 11                 # … and where the lower one ends
    FIGURE_PSI_P = 12
    FIGURE_KS_P = 13
    FIGURE_W1_P = 14                    # before `judge` that of the upper tail alone …
    FIGURE_TOGETHER = 15                # … and here that of the lower one; then p of all three
    FIGURE_EACH = 16                    # what the p-value of one of them is multiplied by
    FIGURES = 17

cdef enum:                              # rows of what Shares find
    SHARE_FIELD = 0
    SHARE_KIND = 1
    SHARE_NOW = 2
    SHARE_ROWS_NOW = 3
    SHARE_THEN = 4
    SHARE_ROWS_THEN = 5
    SHARE_A = 6                         # of the incomplete beta function, half its p-value
    SHARE_B = 7
    SHARE_X = 8
    SHARE_FIGURES = 9

cdef class Pooling:
    """Cells of each field that are counted together for PSI, and what is known of them."""

    cdef Py_ssize_t[:, ::1] begins
    cdef Py_ssize_t[:, ::1] ends
    cdef Py_ssize_t[::1] sizes          # how many pools a field has
    cdef double[:, ::1] p               # shares of the reference, smoothed …
    cdef double[:, ::1] log_p
    cdef double[::1] half_freedom
    cdef double[:, ::1] voices          # of each test in what is said of a field

cdef class Shifts:
    """The reference's side."""

    cdef readonly Py_ssize_t fields
    cdef Py_ssize_t[::1] first          # cell of each field
    cdef Py_ssize_t[::1] bins
    cdef Py_ssize_t[::1] cells
    cdef double[:, ::1] below           # shares up to each edge
    cdef double[:, ::1] widths          # of the axis that an edge stands for
    # by field: rows, values in bins, 1 / deviation; of the net: mean, deviation, skewness,
    # whether it is even
    cdef double[:, ::1] known

    cdef void compare_cells(
        self, Py_ssize_t field, const int64_t* counts, Pooling pooling, double[:, ::1] out
    ) noexcept nogil
    cdef void compare_edges(
        self, Py_ssize_t field, const int64_t* counts, double[:, ::1] out
    ) noexcept nogil

cdef struct Ranked:
    double p
    Py_ssize_t at

cdef class Shares:
    """Cells whose share is tested on its own: how many there are now, and were."""

    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t kinds
    cdef Py_ssize_t[::1] first
    cdef Py_ssize_t[::1] cells
    cdef Py_ssize_t[:, ::1] begins
    cdef Py_ssize_t[:, ::1] ends
    cdef Py_ssize_t[::1] outside        # the last but one, or the last (1, 2), that has zero; or 0
    cdef double[:, ::1] then
    cdef double[::1] rows
