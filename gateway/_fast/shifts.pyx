"""Counts beside a reference's; see shifts.pxd."""

import cython

from libc.math cimport M_PI, atan2, fabs, log, sqrt, tan
from libc.stdlib cimport free, malloc, qsort

cdef enum:                              # rows of what is known of a field
    KNOWN_ROWS = 0
    KNOWN_VALUES = 1
    KNOWN_PER_DEVIATION = 2
    KNOWN_MEAN = 3
    KNOWN_DEVIATION = 4
    KNOWN_SKEWNESS = 5
    KNOWN_IS_EVEN = 6
    KNOWNS = 7

cdef enum:
    TESTS = 3

cdef double MEAN_SUPREMUM = 0.8687311606361592  # of a Brownian bridge's size
cdef double BEYOND_NET = 1.2            # as in statistics.distances
cdef double LEAST_P = 1e-300            # as in drift.groups
cdef double MOST_P = 0.9


@cython.final
cdef class Pooling:

    def __init__(self, begins, ends, sizes, p, log_p, half_freedom, voices):
        self.begins, self.ends, self.sizes = begins, ends, sizes
        self.p, self.log_p = p, log_p
        self.half_freedom, self.voices = half_freedom, voices
        if not begins.shape == ends.shape == p.shape == log_p.shape:
            raise ValueError("a row a field, a column a pool")
        if len(half_freedom) != len(begins) or voices.shape != (TESTS, len(begins)):
            raise ValueError("each field has its degrees of freedom, and a voice a test")
        if len(sizes) != len(begins) or max(sizes) > begins.shape[1]:
            raise ValueError("each field has as many pools as it says")


@cython.final
cdef class Shifts:

    def __init__(self, first, bins, cells, below, widths, known):
        """`known` has a row a figure, in the order of the declaration."""
        self.fields = len(first)
        self.first, self.bins, self.cells = first, bins, cells
        self.below, self.widths, self.known = below, widths, known
        if self.known.shape[0] != KNOWNS or self.known.shape[1] != self.fields:
            raise ValueError(f"{KNOWNS} figures of each field")
        if below.shape != widths.shape or len(below) != self.fields:
            raise ValueError("each edge has its width")
        if max(bins) > self.below.shape[1]:
            raise ValueError("each bin has its edge")

    def measure(
        self, const int64_t[::1] counts not None, Pooling pooling not None,
        double[:, ::1] out not None,
    ):
        """Statistics, effects, and arguments of the functions that give their p-values."""
        cdef Py_ssize_t field, last = self.fields - 1
        if out.shape[0] != FIGURES or out.shape[1] != self.fields:
            raise ValueError(f"{FIGURES} figures of each field")
        if counts.shape[0] != self.first[last] + self.cells[last]:
            raise ValueError("the counts are of other fields")
        if pooling.begins.shape[0] != self.fields:
            raise ValueError("the pools are of other fields")
        with nogil:
            for field in range(self.fields):
                # Safety: cells of all fields are within the counts, by their number.
                self.compare_cells(field, &counts[0], pooling, out)
                self.compare_edges(field, &counts[self.first[field]], out)

    cdef void compare_cells(
        self, Py_ssize_t field, const int64_t* counts, Pooling pooling, double[:, ::1] out
    ) noexcept nogil:
        """PSI with half a count more in each pool."""
        cdef Py_ssize_t pool, cell
        cdef Py_ssize_t size = pooling.sizes[field]
        cdef int64_t held, whole = 0
        cdef double share, q, m, noise, psi = 0
        for cell in range(self.first[field], self.first[field] + self.cells[field]):
            whole += counts[cell]
        m = max(<double>whole, 1.0)
        share = 1 / (m + size / 2.0)
        for pool in range(size):
            held = 0
            for cell in range(pooling.begins[field, pool], pooling.ends[field, pool]):
                held += counts[cell]
            q = held * share + share / 2
            psi += (pooling.p[field, pool] - q) * (pooling.log_p[field, pool] - log(q))
        noise = 1 / max(self.known[KNOWN_ROWS, field], 1.0) + 1 / m
        out[FIGURE_ROWS, field] = <double>whole
        out[FIGURE_PSI, field] = psi
        out[FIGURE_PSI_EFFECT, field] = psi - 2 * pooling.half_freedom[field] * noise
        out[FIGURE_PSI_SCALED, field] = psi / (2 * noise)

    cdef void compare_edges(
        self, Py_ssize_t field, const int64_t* counts, double[:, ::1] out
    ) noexcept nogil:
        """The greatest gap between the distributions, and the area between them."""
        cdef Py_ssize_t edge, bins = self.bins[field]
        cdef int64_t values = 0, running = 0
        cdef double gap = 0, moved = 0, m, per_value, apart, noise, root, n, skewness, shape, away
        for edge in range(bins):
            values += counts[edge]
        m = max(<double>values, 1.0)
        per_value = 1 / m
        for edge in range(bins):
            running += counts[edge]
            apart = fabs(running * per_value - self.below[field, edge])
            gap = max(gap, apart)
            moved += apart * self.widths[field, edge]
        n = self.known[KNOWN_VALUES, field]
        noise = 1 / n + 1 / m
        root = sqrt(noise)
        out[FIGURE_KS, field] = gap
        out[FIGURE_KS_EFFECT, field] = gap - MEAN_SUPREMUM * root
        out[FIGURE_KS_SCALED, field] = gap * (1 / root + 0.12 + 0.11 * root)
        out[FIGURE_W1, field] = moved * self.known[KNOWN_PER_DEVIATION, field]
        out[FIGURE_W1_EFFECT, field] = (
            moved - self.known[KNOWN_MEAN, field] * root
        ) * self.known[KNOWN_PER_DEVIATION, field]
        skewness = self.known[KNOWN_SKEWNESS, field] * fabs(1 / (m * m) - 1 / (n * n))
        skewness /= noise * root
        shape = 4 / max(skewness, 1e-3) ** 2
        away = moved / (root * self.known[KNOWN_DEVIATION, field]) * sqrt(shape)
        out[FIGURE_W1_SHAPE, field] = shape
        out[FIGURE_W1_FAR, field] = shape + away
        out[FIGURE_W1_NEAR, field] = max(shape - away, 0.0)

    def judge(self, Pooling pooling not None, double[:, ::1] out not None, double least):
        """What the three p-values of each field say together; 1 where values lack."""
        cdef Py_ssize_t field, test
        cdef double other, p, said, lowest, together
        if out.shape[0] != FIGURES or out.shape[1] != self.fields:
            raise ValueError(f"{FIGURES} figures of each field")
        for field in range(self.fields):
            p = out[FIGURE_W1_P, field]
            other = p if self.known[KNOWN_IS_EVEN, field] else out[FIGURE_TOGETHER, field]
            out[FIGURE_W1_P, field] = min(BEYOND_NET * (p + other), 1.0)
            said = 0
            lowest = 1
            for test in range(TESTS):
                p = out[FIGURE_PSI_P + test, field]
                lowest = min(lowest, p)
                said += pooling.voices[test, field] / tan(M_PI * min(max(p, LEAST_P), MOST_P))
            together = atan2(1.0, said) / M_PI
            out[FIGURE_EACH, field] = max(together / max(lowest, LEAST_P), 1.0)
            if min(self.known[KNOWN_ROWS, field], out[FIGURE_ROWS, field]) < least:
                together = 1
            out[FIGURE_TOGETHER, field] = together


@cython.final
cdef class Shares:

    def __init__(self, first, cells, begins, ends, outside, then, rows):
        """`outside`: 1 where zero is under all that the reference had, 2 over it, else 0."""
        self.first, self.cells = first, cells
        self.begins, self.ends, self.outside = begins, ends, outside
        self.then, self.rows = then, rows
        self.fields, self.kinds = self.begins.shape[0], self.begins.shape[1]
        if not len(first) == len(cells) == len(outside) == len(rows) == self.fields:
            raise ValueError("each field has cells, and had rows")
        if not begins.shape == ends.shape == then.shape:
            raise ValueError("each field has as many kinds of cells")

    def find(self, const int64_t[::1] counts not None, double least, double[:, ::1] out not None):
        """How many shares there are to test; of each a column of `out`."""
        cdef Py_ssize_t field, kind, cell, found = 0, last = self.fields - 1
        cdef int64_t held, zero
        cdef double now, then, m, n, share, more
        if out.shape[0] != SHARE_FIGURES or out.shape[1] < self.fields * self.kinds:
            raise ValueError(f"{SHARE_FIGURES} figures of each share")
        if counts.shape[0] != self.first[last] + self.cells[last]:
            raise ValueError("the counts are of other fields")
        for field in range(self.fields):
            m = 0
            for cell in range(self.first[field], self.first[field] + self.cells[field]):
                m += counts[cell]
            n = self.rows[field]
            if min(m, n) < least:
                continue
            share = m / (m + n)
            zero = 0
            for kind in range(self.kinds):
                held = 0
                for cell in range(self.begins[field, kind], self.ends[field, kind]):
                    held += counts[cell]
                if kind == self.kinds - 3:
                    zero = held
                elif kind > self.kinds - 3 and self.outside[field] == kind - self.kinds + 3:
                    # Why: a zero that the reference never had is told as such.
                    held -= zero
                now = <double>held
                then = self.then[field, kind]
                if now + then <= 0:
                    continue
                more = now * n - then * m
                out[SHARE_FIELD, found] = <double>field
                out[SHARE_KIND, found] = <double>kind
                out[SHARE_NOW, found] = now
                out[SHARE_ROWS_NOW, found] = m
                out[SHARE_THEN, found] = then
                out[SHARE_ROWS_THEN, found] = n
                # Why one tail: the other is at least a half (the median is next to the mean).
                out[SHARE_A, found] = 1 if more == 0 else now if more > 0 else then
                out[SHARE_B, found] = 1 if more == 0 else 1 + (then if more > 0 else now)
                out[SHARE_X, found] = 1 if more == 0 else share if more > 0 else 1 - share
                found += 1
        return found


cdef int by_p(const void* first, const void* second) noexcept nogil:
    cdef double a = (<const Ranked*>first).p, b = (<const Ranked*>second).p
    return (a > b) - (a < b)


def adjusted_into(
    double[::1] out not None, const double[::1] p not None, Py_ssize_t count, double factor,
    const double[::1] weights=None,
):
    """As statistics.families.adjusted of these and of others that are 1, `count` in all.

    Of weighted ones none becomes less than it was.
    """
    cdef Py_ssize_t given = p.shape[0], i, at
    cdef double least = 1
    cdef Ranked* order
    if out.shape[0] != given or count < given:
        raise ValueError("a place for each p-value, and no fewer in all than are given")
    if weights is not None and weights.shape[0] != given:
        raise ValueError("each p-value has a weight")
    order = <Ranked*>malloc(<size_t>max(given, 1) * sizeof(Ranked))
    if order == NULL:
        raise MemoryError
    # Safety: freed below; nothing in between raises.
    for i in range(given):
        order[i].p = p[i] if weights is None else min(p[i] * weights[i], 1.0)
        order[i].at = i
    qsort(order, <size_t>given, sizeof(Ranked), &by_p)
    for i in range(given - 1, -1, -1):
        least = min(least, order[i].p * (count * factor) / (i + 1))
        at = order[i].at
        out[at] = least if weights is None else max(least, p[at])
    free(order)
