"""Inserts and reads of histograms. Budget: 15 ns an insert."""

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint64_t
from libc.string cimport memset
from gateway._fast.hashing cimport random_next
from gateway._fast.histogram cimport (
    COARSE_BUCKETS, Counts, Window, coarse_quantile, fine_add, fine_quantile, window_add,
    window_merge_into, window_total,
)

cdef enum:
    VALUES = 4096
    NOW_NS = 31_000_000_000         # all slots of the window live

cdef Counts counts
cdef Window window
cdef uint64_t[VALUES] values

cdef uint64_t state = 1
for index in range(VALUES):         # log-uniform from 1 us to 16 s
    values[index] = random_next(&state) >> (30 + random_next(&state) % 24)

def fine(uint64_t operations):
    cdef uint64_t index
    for index in range(operations):
        fine_add(&counts, values[index % VALUES])

def coarse(uint64_t operations):
    cdef uint64_t index
    for index in range(operations):
        window_add(&window, values[index % VALUES], index * 3200)

def quantile(uint64_t operations):
    cdef uint64_t index, answer = 0
    for index in range(operations):
        answer += fine_quantile(counts.counts, counts.total, 0.99)
    return answer

def window_quantile(uint64_t operations):
    cdef uint64_t[COARSE_BUCKETS] merged
    cdef uint64_t index, answer = 0
    for index in range(operations):
        memset(merged, 0, sizeof(merged))
        answer += coarse_quantile(merged, window_merge_into(&window, merged, NOW_NS), 0.95)
    return answer
"""

if __name__ == "__main__":
    module = compiled("bench_histogram", SOURCE)
    report("histogram/fine_add", module.fine, 10_000_000)
    report("histogram/window_add", module.coarse, 10_000_000)  # fills the window: 32 s
    report("histogram/fine_quantile", module.quantile, 10_000)
    report("histogram/window_merge_and_quantile", module.window_quantile, 10_000)
