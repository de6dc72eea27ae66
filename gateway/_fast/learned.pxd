# What the workers have learned of a backend, read from all their gauges.
#
# Gauges   where the gauges of one backend are, all workers'.
# usage    sums of bytes, tokens and answers that forget: after USAGE_HORIZON answers each
#          new one takes away a 1/USAGE_HORIZON of the sums, so their ratios follow the traffic.
# EWMA     peak-EWMA of first-byte times: jumps up at once, comes down with e-folding time
#          EWMA_TAU_NS, also while nothing is sent (Finagle's PeakEwma).
# learned  quantiles, ratios and the failure share, written into the Cell four times a
#          second by whoever moves learned_at_ns.
#
# Rule 1: usage and EWMA have one writer, the gauge's worker; any worker reads them.
# Rule 2: a figure that was never learned is 0 in the Cell; the readers below give the default.
# Rule 3: whoever adds to a gauge's recent times folds its EWMA too: a gauge whose EWMA was
#         never folded has none, and they are not looked at.
# Rule 4: quantiles outlive the window they came from; `samples` says how many are in it now.
# Cost: a fold 3 ns; a refresh 3 µs a worker, four times a second a backend.

cimport cython
from libc.math cimport exp
from libc.stdint cimport int64_t, uint64_t
from gateway._fast.board cimport Board, Cell, Gauge, Recent, atomic_load, atomic_store

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Doubles shared between processes: whole, and nothing more. */
    static inline double figure_load_relaxed(const double *figure) {
        double value;
        __atomic_load(figure, &value, __ATOMIC_RELAXED);
        return value;
    }
    static inline void figure_store_relaxed(double *figure, double value) {
        __atomic_store(figure, &value, __ATOMIC_RELAXED);
    }
    #define EWMA_TAU_NS 10e9
    #define STEPS_OF_TAU 46.16624130844683      /* 32 / ln 2 */
    /* tau / STEPS_OF_TAU, as a number of 36 bits, whose multiples are exact, and the rest. */
    #define STEP_HIGH 0.021660849392446835
    #define STEP_LOW 5.145609244655338e-14
    /* 2 to the power of -step / 32. */
    static const double DECAYED[32] = {
        1.0, 0.9785720620877001, 0.9576032806985737, 0.93708381705515,
        0.9170040432046712, 0.8973545375015536, 0.8781260801866497, 0.859309649061239,
        0.8408964152537145, 0.8228777390769825, 0.8052451659746271, 0.7879904225539432,
        0.7711054127039704, 0.7545822137967114, 0.7384130729697497, 0.7225904034885233,
        0.7071067811865476, 0.691954940981916, 0.6771277734684463, 0.6626183215798707,
        0.6484197773255048, 0.6345254785958666, 0.620928906036742, 0.6076236799902345,
        0.5946035575013605, 0.5818624293887887, 0.5693943173783458, 0.5571933712979462,
        0.5452538663326288, 0.5335702003384118, 0.5221368912137069, 0.5109485743270583,
    };
    /* value / 2**halvings, of a value and a result that are normal: by the exponent alone. */
    static inline double decay_halved(double value, int64_t halvings) {
        uint64_t bits;
        memcpy(&bits, &value, 8);
        bits -= (uint64_t)halvings << 52;
        memcpy(&value, &bits, 8);
        return value;
    }
    #define DEFAULT_BYTES_PER_TOKEN 4.0
    /* Of a backend under its first probe: after all known ones. */
    #define UNKNOWN_LOAD 1e18
    """
    const double EWMA_TAU_NS
    const double STEPS_OF_TAU
    const double STEP_HIGH
    const double STEP_LOW
    const double[32] DECAYED
    double decay_halved(double value, int64_t halvings) noexcept nogil
    const double DEFAULT_BYTES_PER_TOKEN
    const double UNKNOWN_LOAD
    double figure_load "figure_load_relaxed"(const double* figure) noexcept nogil
    void figure_store "figure_store_relaxed"(double* figure, double value) noexcept nogil

cdef enum:
    LEARN_INTERVAL_NS = 250_000_000
    LEARN_WINDOW_S = 30                 # of the failure share
    LEARN_ANSWERS = 20                  # fewer say nothing of ratios
    USAGE_HORIZON = 256
    UNKNOWN_FAILURE_NS = 100_000_000    # what a failure counts as where nothing is known
    FAILURE_FACTOR = 3                  # × p95, what a failure counts as otherwise
    SHORT_AGE_NS = 100_000_000          # a hundredth of tau
    DECAYS_FOR_NS = 6_000_000_000_000   # 600 tau; what is left then is still a normal number

cdef struct Gauges:
    Gauge* first                        # worker 0's
    size_t stride                       # bytes from one worker's to the next one's
    Recent* first_recent
    size_t recent_stride
    int workers

cdef inline Gauge* gauge_of(const Gauges* gauges, int worker) noexcept nogil:
    return <Gauge*>(<char*>gauges.first + <size_t>worker * gauges.stride)

cdef inline Recent* recent_of(const Gauges* gauges, int worker) noexcept nogil:
    return <Recent*>(<char*>gauges.first_recent + <size_t>worker * gauges.recent_stride)

cdef inline uint64_t in_flight_of(const Gauges* gauges) noexcept nogil:
    # Attempts under way at the backend, all workers'.
    cdef uint64_t sum = 0
    cdef int worker
    for worker in range(gauges.workers):
        sum += atomic_load(&gauge_of(gauges, worker).in_flight)
    return sum

cdef int find_gauges(Gauges* gauges, Board board, int cell) except -1


cdef inline void usage_fold(
    Gauge* gauge, uint64_t input_bytes, uint64_t input_tokens, uint64_t output_tokens
) noexcept nogil:
    # One answer whose usage is known.
    if gauge.answers >= <uint64_t>USAGE_HORIZON:
        gauge.input_bytes -= gauge.input_bytes // USAGE_HORIZON
        gauge.input_tokens -= gauge.input_tokens // USAGE_HORIZON
        gauge.output_tokens -= gauge.output_tokens // USAGE_HORIZON
        gauge.answers -= gauge.answers // USAGE_HORIZON
    gauge.input_bytes += input_bytes
    gauge.input_tokens += input_tokens
    gauge.output_tokens += output_tokens
    gauge.answers += 1


cdef inline double decay(uint64_t age_ns) noexcept nogil:
    # What is left of an average after so long: exp(-age / tau), to the last digit or two.
    # Cost: under load ages are far below a hundredth of tau, where five terms will do; then
    # a table for whole steps and six terms for the rest, half as many instructions as exp().
    cdef double age, steps, x, whole
    cdef int64_t count
    if age_ns < <uint64_t>SHORT_AGE_NS:
        x = <double><int64_t>age_ns * (-1.0 / EWMA_TAU_NS)
        return 1.0 + x * (1.0 + x * (0.5 + x * (
            1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0))
        )))
    if age_ns > <uint64_t>DECAYS_FOR_NS:
        return exp(<double>age_ns / -EWMA_TAU_NS)
    age = <double><int64_t>age_ns / EWMA_TAU_NS
    count = <int64_t>(age * STEPS_OF_TAU + 0.5)
    steps = <double>count
    x = (steps * STEP_HIGH - age) + steps * STEP_LOW
    whole = decay_halved(DECAYED[count & 31], count >> 5)
    return whole + whole * (x + x * x * (
        0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0))))
    ))

cdef inline double come_down(uint64_t ewma_ns, uint64_t at_ns, uint64_t now_ns) noexcept nogil:
    if ewma_ns == 0 or now_ns <= at_ns:
        return <double>ewma_ns
    return <double>ewma_ns * decay(now_ns - at_ns)

cdef inline double ewma_at(const Gauge* gauge, uint64_t now_ns) noexcept nogil:
    # The average as it has come down since the last fold; 0 unknown.
    return come_down(
        atomic_load(&gauge.ewma_ns), atomic_load(&gauge.ewma_at_ns), now_ns
    )

cdef inline void ewma_fold(Gauge* gauge, uint64_t rtt_ns, uint64_t now_ns) noexcept nogil:
    cdef double rtt = <double>rtt_ns
    if rtt_ns < gauge.ewma_ns and now_ns > gauge.ewma_at_ns:
        rtt += (<double>gauge.ewma_ns - rtt) * decay(now_ns - gauge.ewma_at_ns)
    elif rtt_ns < gauge.ewma_ns:
        return
    atomic_store(&gauge.ewma_ns, <uint64_t>rtt)
    atomic_store(&gauge.ewma_at_ns, now_ns)

cdef inline uint64_t failure_rtt(const Cell* cell, uint64_t rtt_ns) noexcept nogil:
    # What to fold for a failed attempt. Why: a fast failure must not look like a fast backend.
    cdef uint64_t penalty_ns = FAILURE_FACTOR * atomic_load(&cell.first_byte_q_ns[2])
    if penalty_ns == 0:
        penalty_ns = UNKNOWN_FAILURE_NS
    return rtt_ns if rtt_ns > penalty_ns else penalty_ns

cdef inline double load_of(double ewma_ns, uint64_t in_flight) noexcept nogil:
    # Unknown and idle is 0: it is probed first. Unknown and busy waits for its probe.
    if ewma_ns == 0 and in_flight:
        return UNKNOWN_LOAD + <double>in_flight
    return ewma_ns * <double>(in_flight + 1)

cdef inline double ewma_load(const Gauge* gauge, uint64_t now_ns) noexcept nogil:
    # Of one worker alone.
    return load_of(ewma_at(gauge, now_ns), atomic_load(&gauge.in_flight))

cdef inline double ewma_latest(
    const Gauges* gauges, uint64_t now_ns, uint64_t* in_flight
) noexcept nogil:
    # The average that was folded last, whichever worker's, so that they learn from each
    # other; *in_flight: the sum of theirs. Why not the highest: an exp() for each of them.
    # Cost: both lie on one cache line, so they are read in one visit.
    cdef const Gauge* gauge = gauges.first
    cdef uint64_t sum = atomic_load(&gauge.in_flight)
    cdef uint64_t latest_ns = atomic_load(&gauge.ewma_at_ns)
    cdef uint64_t ewma_ns = atomic_load(&gauge.ewma_ns)
    cdef uint64_t at_ns, found_ns
    cdef int _
    for _ in range(1, gauges.workers):
        gauge = <const Gauge*>(<const char*>gauge + gauges.stride)
        sum += atomic_load(&gauge.in_flight)
        at_ns = atomic_load(&gauge.ewma_at_ns)
        found_ns = atomic_load(&gauge.ewma_ns)
        # Cost: no branch; whose is the latest changes with each answer.
        ewma_ns = found_ns if at_ns > latest_ns else ewma_ns
        latest_ns = max(at_ns, latest_ns)
    in_flight[0] = sum
    return come_down(ewma_ns, latest_ns, now_ns)

cdef inline double load_at(const Gauges* gauges, uint64_t now_ns) noexcept nogil:
    # Of all workers together.
    cdef uint64_t in_flight
    cdef double ewma_ns = ewma_latest(gauges, now_ns, &in_flight)
    return load_of(ewma_ns, in_flight)


cdef inline double bytes_per_token_of(const Cell* cell) noexcept nogil:
    cdef double learned = figure_load(&cell.bytes_per_token)
    return learned if learned > 0 else DEFAULT_BYTES_PER_TOKEN

# Refreshes the learned figures when it is time and nobody else does; cheap when not.
# True when it did.
cdef bint learned_refresh(Cell* cell, const Gauges* gauges, uint64_t now_ns) noexcept nogil


@cython.final
cdef class Learning:                    # Learning(board, backend)
    # What is known of one backend as an object: for readers and tests.
    cdef Board board                    # keeps the memory mapped
    cdef Cell* cell
    cdef Gauges gauges
    cdef Gauge* gauge(self, int worker) except NULL
