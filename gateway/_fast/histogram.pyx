"""Streaming histograms for readers and tests; the layouts and kernels are in the .pxd.

`Histogram` is one fine histogram, `SlidingHistogram` one coarse window, each in memory of
its own. The hot path needs neither: it calls fine_add and window_add on the board.
"""

cimport cython
from libc.string cimport memset


def fine_bucket(uint64_t value) -> int:
    return fine_bucket_of(value)


def fine_edge(int bucket) -> int:
    """The smallest value that counts in `bucket`."""
    return fine_lower_edge(_checked(bucket, FINE_BUCKETS))


def coarse_bucket(uint64_t value) -> int:
    return coarse_bucket_of(value)


def coarse_edge(int bucket) -> int:
    """The smallest value that counts in `bucket`."""
    return coarse_lower_edge(_checked(bucket, COARSE_BUCKETS))


cdef int _checked(int bucket, int buckets) except -1:
    if not 0 <= bucket < buckets:
        raise IndexError(f"bucket {bucket} is not in 0 … {buckets - 1}")
    return bucket


@cython.final
cdef class Histogram:
    """Counts of values to within 0.39 %, from 0 to 2**42 - 1."""

    buckets = FINE_BUCKETS

    cdef void add(self, uint64_t value) noexcept nogil:
        fine_add(&self.counts_c, value)

    cdef void add_counts(self, const Counts* counts) noexcept nogil:
        cdef int bucket
        self.counts_c.total += counts.total
        self.counts_c.sum += counts.sum
        for bucket in range(FINE_BUCKETS):
            self.counts_c.counts[bucket] += counts.counts[bucket]

    cdef uint64_t quantile_c(self, double q) noexcept nogil:
        return fine_quantile(self.counts_c.counts, self.counts_c.total, q)

    def record(self, uint64_t value) -> None:
        self.add(value)

    def merge(self, Histogram other not None) -> None:
        """Add the counts of `other`: the result is that of both sequences of values."""
        self.add_counts(&other.counts_c)

    def quantile(self, double q) -> int:
        """The midpoint of the bucket that holds the value of rank ceil(q * total)."""
        return self.quantile_c(q)

    def clear(self) -> None:
        memset(&self.counts_c, 0, sizeof(Counts))

    @property
    def total(self) -> int:
        return self.counts_c.total

    @property
    def sum(self) -> int:
        return self.counts_c.sum

    @property
    def counts(self) -> list[int]:
        return self.counts_c.counts


@cython.final
cdef class SlidingHistogram:
    """Counts to within 3.1 % of the values of the last 28 to 32 seconds."""

    buckets = COARSE_BUCKETS

    cdef void add(self, uint64_t value, uint64_t now_ns) noexcept nogil:
        window_add(&self.window, value, now_ns)

    cdef uint64_t quantile_c(self, double q, uint64_t now_ns) noexcept nogil:
        cdef uint64_t[COARSE_BUCKETS] counts
        memset(counts, 0, sizeof(counts))
        cdef uint64_t total = window_merge_into(&self.window, counts, now_ns)
        return coarse_quantile(counts, total, q)

    def record(self, uint64_t value, uint64_t now_ns) -> None:
        self.add(value, now_ns)

    def quantile(self, double q, uint64_t now_ns) -> int:
        return self.quantile_c(q, now_ns)

    def total(self, uint64_t now_ns) -> int:
        return window_total(&self.window, now_ns)

    def counts(self, uint64_t now_ns) -> list[int]:
        cdef uint64_t[COARSE_BUCKETS] counts
        memset(counts, 0, sizeof(counts))
        window_merge_into(&self.window, counts, now_ns)
        return counts
