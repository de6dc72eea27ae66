# Streaming histograms of unsigned integers, laid out for shared memory.
#
# Two resolutions, one formula: 2**shift buckets a power of two, so a bucket's midpoint
# is within 1 / 2**(shift + 1) of any value in it. Fine (0.39 %) for what is reported;
# coarse (3.1 %) for the sliding windows that routing reads.
#
# Cost: an add is one clz, one shift and three increments; nothing here allocates.
# Rule 1: one writer a structure. A reader in another process may see it between two
#         stores, so quantiles never trust `total` to end a loop.
# Rule 2: all zeros is an empty histogram and an empty window.
# Knows nothing of requests or clocks: the caller passes values and `now_ns`.

cimport cython
from libc.math cimport ceil
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

cdef extern from *:
    int __builtin_clzll(unsigned long long value) noexcept nogil

cdef enum:
    VALUE_BITS = 42                     # values up to 2**42 - 1 (ns: 73 min); larger ones count in the last
    FINE_SHIFT = 7                      # 2**7 buckets per power of two
    FINE_BUCKETS = 4608                 # (VALUE_BITS - FINE_SHIFT + 1) << FINE_SHIFT
    COARSE_SHIFT = 4
    COARSE_BUCKETS = 624                # (VALUE_BITS - COARSE_SHIFT + 1) << COARSE_SHIFT
    WINDOW_SLOTS = 8                    # ring of slots; one is being filled
    WINDOW_SLOT_NS = 4_000_000_000      # so a window covers 28 to 32 s

cdef struct Counts:                     # Rule: total == sum(counts), counted first
    uint64_t total
    uint64_t sum                        # of the values, for means and Prometheus _sum
    uint64_t counts[FINE_BUCKETS]

cdef struct Slot:
    uint64_t epoch                      # now_ns // WINDOW_SLOT_NS when it was last cleared
    uint64_t total
    uint32_t counts[COARSE_BUCKETS]

cdef struct Window:                     # Rule: slot i holds only epochs with epoch % WINDOW_SLOTS == i
    Slot slots[WINDOW_SLOTS]


# The formula. Below 2**shift a bucket holds one value; above, bucket (exponent, mantissa)
# holds the values whose leading shift + 1 bits are the same.

cdef inline int log_bucket_of(uint64_t value, int shift) noexcept nogil:
    cdef int exponent
    if value >> VALUE_BITS:
        value = (<uint64_t>1 << VALUE_BITS) - 1
    if value >> shift == 0:
        return <int>value
    exponent = 63 - shift - __builtin_clzll(value)
    return <int>((<uint64_t>exponent << shift) + (value >> exponent))

cdef inline uint64_t log_lower_edge(int bucket, int shift) noexcept nogil:
    cdef int exponent = (bucket >> shift) - 1
    if exponent < 0:
        return <uint64_t>bucket
    return <uint64_t>(bucket - (exponent << shift)) << exponent

cdef inline uint64_t log_midpoint(int bucket, int shift) noexcept nogil:
    cdef int exponent = (bucket >> shift) - 1
    if exponent <= 0:
        return log_lower_edge(bucket, shift)
    return log_lower_edge(bucket, shift) + (<uint64_t>1 << (exponent - 1))

cdef inline uint64_t rank_of(uint64_t total, double q) noexcept nogil:
    # The nearest rank: at least 1, at most total.
    cdef double exact = ceil(q * <double>total)
    if not exact > 1:
        return 1
    return <uint64_t>exact if exact < <double>total else total

cdef inline uint64_t log_quantile(
    const uint64_t* counts, int buckets, int shift, uint64_t total, double q
) noexcept nogil:
    # Cost: a walk over the buckets; for readers and for once-a-second refreshes.
    cdef uint64_t rank = rank_of(total, q)
    cdef uint64_t seen = 0
    cdef int bucket, last = 0
    if total == 0:
        return 0
    for bucket in range(buckets):
        if counts[bucket]:
            seen += counts[bucket]
            last = bucket
            if seen >= rank:
                break
    return log_midpoint(last, shift)


cdef inline int fine_bucket_of(uint64_t value) noexcept nogil:
    return log_bucket_of(value, FINE_SHIFT)

cdef inline uint64_t fine_lower_edge(int bucket) noexcept nogil:
    return log_lower_edge(bucket, FINE_SHIFT)

cdef inline uint64_t fine_midpoint(int bucket) noexcept nogil:
    return log_midpoint(bucket, FINE_SHIFT)

cdef inline void fine_add(Counts* counts, uint64_t value) noexcept nogil:
    counts.total += 1
    counts.sum += value
    counts.counts[fine_bucket_of(value)] += 1

cdef inline uint64_t fine_quantile(const uint64_t* counts, uint64_t total, double q) noexcept nogil:
    # `counts` has FINE_BUCKETS entries. 0 when total is 0.
    return log_quantile(counts, FINE_BUCKETS, FINE_SHIFT, total, q)


cdef inline int coarse_bucket_of(uint64_t value) noexcept nogil:
    return log_bucket_of(value, COARSE_SHIFT)

cdef inline uint64_t coarse_lower_edge(int bucket) noexcept nogil:
    return log_lower_edge(bucket, COARSE_SHIFT)

cdef inline uint64_t coarse_midpoint(int bucket) noexcept nogil:
    return log_midpoint(bucket, COARSE_SHIFT)

cdef inline uint64_t coarse_quantile(
    const uint64_t* counts, uint64_t total, double q
) noexcept nogil:
    # `counts` has COARSE_BUCKETS entries. 0 when total is 0.
    return log_quantile(counts, COARSE_BUCKETS, COARSE_SHIFT, total, q)


cdef inline uint64_t window_epoch(uint64_t now_ns) noexcept nogil:
    return now_ns // <uint64_t>WINDOW_SLOT_NS

cdef inline bint slot_is_live(const Slot* slot, uint64_t epoch) noexcept nogil:
    # Why signed: the writer's clock may be one epoch ahead of the reader's.
    return <int64_t>(epoch - slot.epoch) < WINDOW_SLOTS

cdef inline void window_add(Window* window, uint64_t value, uint64_t now_ns) noexcept nogil:
    # Cost: clears 2.5 kB at the first value of each epoch.
    cdef uint64_t epoch = window_epoch(now_ns)
    cdef Slot* slot = &window.slots[epoch & (WINDOW_SLOTS - 1)]
    if slot.epoch != epoch:
        memset(slot, 0, sizeof(Slot))
        slot.epoch = epoch
    slot.total += 1
    slot.counts[coarse_bucket_of(value)] += 1

cdef inline uint64_t window_total(const Window* window, uint64_t now_ns) noexcept nogil:
    cdef uint64_t epoch = window_epoch(now_ns)
    cdef uint64_t total = 0
    cdef int index
    for index in range(WINDOW_SLOTS):
        if slot_is_live(&window.slots[index], epoch):
            total += window.slots[index].total
    return total

cdef inline uint64_t window_merge_into(
    const Window* window, uint64_t* counts, uint64_t now_ns
) noexcept nogil:
    # Adds the live slots to `counts` (COARSE_BUCKETS entries) and returns how many values
    # that were. Cost: up to 5,000 additions, 1 to 2 µs.
    cdef uint64_t epoch = window_epoch(now_ns)
    cdef uint64_t total = 0
    cdef const Slot* slot
    cdef int index, bucket
    for index in range(WINDOW_SLOTS):
        slot = &window.slots[index]
        if slot.total == 0 or not slot_is_live(slot, epoch):
            continue
        for bucket in range(COARSE_BUCKETS):
            counts[bucket] += slot.counts[bucket]
            total += slot.counts[bucket]
    return total


@cython.final
cdef class Histogram:
    # One fine histogram in this process's memory, for readers and tests.
    cdef Counts counts_c
    cdef void add(self, uint64_t value) noexcept nogil
    cdef void add_counts(self, const Counts* counts) noexcept nogil
    cdef uint64_t quantile_c(self, double q) noexcept nogil


@cython.final
cdef class SlidingHistogram:
    # One coarse window in this process's memory, for readers and tests.
    cdef Window window
    cdef void add(self, uint64_t value, uint64_t now_ns) noexcept nogil
    cdef uint64_t quantile_c(self, double q, uint64_t now_ns) noexcept nogil
