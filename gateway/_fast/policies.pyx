"""The policies: one function each says who is best. What they mean is in the .pxd."""

from libc.math cimport log
from libc.stdint cimport int64_t, uint64_t

from gateway._fast.board cimport QUANTILES, Cell, atomic_load
from gateway._fast.hashing cimport mix, random_below, random_unit
from gateway._fast.learned cimport (
    bytes_per_token_of, ewma_latest, figure_load, in_flight_of, load_of
)
from gateway._fast.limit cimport limit_of

cdef extern from *:
    """
    #include <float.h>
    #define UNKNOWN_SHARE 0.05
    #define SLOW_START_FLOOR 0.1
    #define FAILURE_SHARE_CAP 0.99
    """
    const double DBL_MAX
    const double UNKNOWN_SHARE          # of the requests, to find out what is not known
    const double SLOW_START_FLOOR       # share of its weight that a recovered backend starts with
    const double FAILURE_SHARE_CAP      # above it a price would be a division by nearly nothing

# By Policy.
cdef int[7] NEEDED = [
    0,
    1 << COLUMN_WEIGHT,
    1 << COLUMN_LOAD,
    1 << COLUMN_USD,
    1 << COLUMN_PREDICTED,
    1 << COLUMN_USD | 1 << COLUMN_PREDICTED,
    1 << COLUMN_USD | 1 << COLUMN_PREDICTED | 1 << COLUMN_SCORE,
]


cdef int columns_of(const Wish* wish) noexcept nogil:
    return 1 << COLUMN_SCORE if wish.sticky else NEEDED[wish.policy]


# What is expected of one candidate.

cdef inline double output_tokens_of(const Cell* cell, const Wish* wish) noexcept nogil:
    cdef double learned = figure_load(&cell.output_tokens_mean)
    cdef double most = <double>wish.output_tokens
    if learned > 0:
        return min(learned, most) if most > 0 else learned
    return most if most > 0 else <double>DEFAULT_OUTPUT_TOKENS

cdef double expected_usd(const Terms* terms, const Cell* cell, const Wish* wish) noexcept nogil:
    # Of a successful answer: what failed has to be asked, and paid for, again.
    cdef double usd = terms.request_usd
    cdef double failed = figure_load(&cell.failure_share)
    if terms.input_usd > 0:
        usd += <double>wish.input_bytes / bytes_per_token_of(cell) * terms.input_usd
    if terms.output_usd > 0:
        usd += output_tokens_of(cell, wish) * terms.output_usd
    return usd / (1.0 - min(failed, FAILURE_SHARE_CAP)) if failed > 0 else usd

cdef double predicted_ns(const Cell* cell, const Wish* wish) noexcept nogil:
    # Safety: the mask keeps the index below QUANTILES, a power of two.
    cdef int quantile = wish.slo_quantile & (QUANTILES - 1)
    if wish.slo_metric == METRIC_TOTAL:
        return <double>atomic_load(&cell.total_q_ns[quantile])
    return <double>atomic_load(&cell.first_byte_q_ns[quantile])

cdef bint is_fresh(const Cell* cell) noexcept nogil:
    return atomic_load(&cell.samples) >= FRESH_SAMPLES

cdef double slow_started(uint64_t slow_start_ns, const Cell* cell, uint64_t now_ns) noexcept nogil:
    # Why not at start, healthy_since_ns 0: when all are new, nobody is spared by it.
    cdef uint64_t since_ns
    if slow_start_ns == 0:
        return 1.0
    since_ns = atomic_load(&cell.healthy_since_ns)
    if since_ns == 0 or now_ns >= since_ns + slow_start_ns:
        return 1.0
    if now_ns <= since_ns:
        return SLOW_START_FLOOR
    return max(SLOW_START_FLOOR, <double>(now_ns - since_ns) / <double>slow_start_ns)


# Limits, and the loads that are read with them.

cdef uint64_t limit_at(const Roster* roster, int position) noexcept nogil:
    cdef const Terms* terms = &roster.terms[position]
    if not has(roster.adaptive, position):
        return roster.ceilings[position]
    return limit_of(roster.cells[position], terms.max_concurrency, terms.adaptive.initial)

cdef uint64_t find_loads(Roster* roster, uint64_t positions, uint64_t now_ns) noexcept nogil:
    # Who of these is at its limit.
    cdef uint64_t full = 0, in_flight
    cdef double ewma_ns
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        ewma_ns = ewma_latest(&roster.gauges[position], now_ns, &in_flight)
        roster.found[COLUMN_LOAD][position] = load_of(ewma_ns, in_flight) / slow_started(
            roster.slow_starts_ns[position], roster.cells[position], now_ns
        )
        if in_flight >= limit_at(roster, position):
            full |= bit(position)
    return full

cdef uint64_t at_limit(Roster* roster, const Wish* wish, uint64_t positions) noexcept nogil:
    cdef uint64_t full = 0
    cdef int position
    if wish.policy == POLICY_LEAST_LOADED:
        return find_loads(roster, positions, wish.now_ns)
    positions &= roster.limited
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        if in_flight_of(&roster.gauges[position]) >= limit_at(roster, position):
            full |= bit(position)
    return full


# Small things.

cdef int nth(uint64_t positions, uint64_t n) noexcept nogil:
    # Of more than n positions, the one that n lower ones stand before. Cost: no loop over
    # them: bytes are counted at once, and the right one is walked.
    cdef uint64_t ones = <uint64_t>0x0101010101010101, tops = ones << 7
    cdef uint64_t sums, behind
    if positions & (positions + 1) == 0:
        return <int>n
    sums = positions - (positions >> 1 & <uint64_t>0x5555555555555555)
    sums = (sums & <uint64_t>0x3333333333333333) + (sums >> 2 & <uint64_t>0x3333333333333333)
    # Byte i: how many positions the bytes 0 … i hold.
    sums = ((sums + (sums >> 4)) & <uint64_t>0x0F0F0F0F0F0F0F0F) * ones
    # Eight for each byte that the n-th lies behind.
    behind = (((((n * ones) | tops) - sums) & tops) >> 7) * ones >> 56 << 3
    n -= (sums << 8) >> behind & 0xFF
    positions >>= behind
    while n:
        positions &= positions - 1
        n -= 1
    return <int>behind + lowest(positions)

cdef inline int any_of(uint64_t positions, uint64_t* random) noexcept nogil:
    return nth(positions, random_below(random, <uint64_t>size_of(positions)))

cdef inline double random_score(
    uint64_t sticky, uint64_t key, bint weighted, double weight
) noexcept nogil:
    # Of rendezvous hashing: the lowest of several falls on each by its weight, and stays
    # there when others come and go. Why log: scores must be exponential with rate `weight`;
    # without weights any decreasing function does.
    cdef double unit = (<double>(mix(sticky ^ key) >> 11) + 0.5) / <double>(<uint64_t>1 << 53)
    return -log(unit) / weight if weighted else 1.0 - unit

cdef inline void widen(double* span, double value) noexcept nogil:
    span[0] = min(span[0], value)
    span[1] = max(span[1], value)

cdef inline double scaled(const double* span, double value) noexcept nogil:
    return (value - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.0


# One function a policy.

cdef uint64_t lowest_scores(const Roster* roster, uint64_t positions) noexcept nogil:
    # Who has the lowest score of these: several only when equal to the last bit.
    cdef uint64_t best = 0
    cdef double score, least = DBL_MAX
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        score = roster.found[COLUMN_SCORE][position]
        if score < least:
            least = score
            best = bit(position)
        elif score == least:
            best |= bit(position)
    return best

cdef void score_sticky(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    # Why without slow start: a session would move away, and back again.
    cdef uint64_t positions = draw.eligible
    cdef bint weighted = wish.policy == POLICY_WEIGHTED and size_of(positions) > 1
    cdef double weight = 1.0
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        if weighted:
            weight = roster.weights[position]
        roster.found[COLUMN_SCORE][position] = random_score(
            wish.sticky, roster.terms[position].key, weighted, weight
        )
    draw.best = lowest_scores(roster, draw.eligible)

cdef void weigh(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    cdef uint64_t positions = draw.eligible
    cdef double weight
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        weight = roster.weights[position] * slow_started(
            roster.slow_starts_ns[position], roster.cells[position], wish.now_ns
        )
        roster.found[COLUMN_WEIGHT][position] = weight
        draw.weights += weight
    if draw.weights > 0:
        draw.spread = SPREAD_BY_WEIGHT

cdef void pair_up(Roster* roster, Draw* draw) noexcept nogil:
    # The loads are there already. Those of the others lose against all of them.
    cdef uint64_t others = ~draw.eligible & all_of(roster.length)
    while others:
        roster.found[COLUMN_LOAD][lowest(others)] = -1.0
        others &= others - 1
    draw.spread = SPREAD_BY_PAIR

cdef void price(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    find_prices(roster, wish, draw.eligible)
    draw.best = lowest_scores(roster, draw.eligible)

cdef void find_prices(Roster* roster, const Wish* wish, uint64_t positions) noexcept nogil:
    cdef double usd
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        usd = expected_usd(&roster.terms[position], roster.cells[position], wish)
        roster.found[COLUMN_USD][position] = usd
        roster.found[COLUMN_SCORE][position] = usd

cdef uint64_t find_latencies(
    Roster* roster, const Wish* wish, uint64_t positions, uint64_t* stale
) noexcept nogil:
    # Who has a prediction; *stale: who has none, or not a fresh one.
    cdef uint64_t known = 0
    cdef const Cell* cell
    cdef double latency_ns
    cdef int position
    stale[0] = 0
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        cell = roster.cells[position]
        latency_ns = predicted_ns(cell, wish)
        roster.found[COLUMN_PREDICTED][position] = latency_ns
        if latency_ns > 0:
            known |= bit(position)
        if latency_ns == 0 or not is_fresh(cell):
            stale[0] |= bit(position)
    roster.stale = stale[0]
    return known

cdef void score_latencies(Roster* roster, uint64_t positions) noexcept nogil:
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        roster.found[COLUMN_SCORE][position] = roster.found[COLUMN_PREDICTED][position]

cdef void predict(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    cdef uint64_t stale
    cdef uint64_t known = find_latencies(roster, wish, draw.eligible, &stale)
    if known == 0:
        return
    score_latencies(roster, known)
    draw.best = lowest_scores(roster, known)
    draw.unknown = stale & ~draw.best

cdef uint64_t within_slo(const Roster* roster, const Wish* wish, uint64_t known) noexcept nogil:
    cdef uint64_t within = 0
    cdef int position
    if wish.slo_limit_ns == 0:
        return known
    while known:
        position = lowest(known)
        known &= known - 1
        if roster.found[COLUMN_PREDICTED][position] <= <double>wish.slo_limit_ns:
            within |= bit(position)
    return within

cdef void price_within_slo(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    # Who keeps the SLO by prediction comes first; who was never seen counts as keeping
    # it, but gets more than UNKNOWN_SHARE only when nobody is known to. Who broke it
    # and was not seen lately is looked at again as if unseen.
    cdef uint64_t stale
    cdef uint64_t known = find_latencies(roster, wish, draw.eligible, &stale)
    cdef uint64_t within = within_slo(roster, wish, known)
    cdef uint64_t unseen = draw.eligible & ~known
    find_prices(roster, wish, draw.eligible)
    if within:
        draw.best = lowest_scores(roster, within)
        draw.unknown = cheaper_than(roster, draw.best, stale)
    elif unseen:
        draw.best = lowest_scores(roster, unseen)
        draw.unknown = stale & ~draw.best
    else:
        score_latencies(roster, known)
        draw.best = lowest_scores(roster, known)
        draw.unknown = stale & ~draw.best

cdef uint64_t cheaper_than(const Roster* roster, uint64_t best, uint64_t positions) noexcept nogil:
    # Who is worth finding out about: a dearer one would not be chosen anyway.
    cdef double usd = roster.found[COLUMN_USD][lowest(best)]
    cdef uint64_t cheaper = 0
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        if roster.found[COLUMN_USD][position] < usd:
            cheaper |= bit(position)
    return cheaper

cdef void weigh_up(Roster* roster, const Wish* wish, Draw* draw) noexcept nogil:
    # cost, latency and 1 - quality, each scaled to 0 … 1; an unknown latency is 1/2.
    cdef uint64_t stale, positions
    cdef uint64_t known = find_latencies(roster, wish, draw.eligible, &stale)
    cdef double[2] usd, latency, flaw
    cdef double found, middle
    cdef int position
    find_prices(roster, wish, draw.eligible)
    usd[0] = latency[0] = flaw[0] = DBL_MAX
    usd[1] = latency[1] = flaw[1] = 0
    positions = draw.eligible
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        widen(usd, roster.found[COLUMN_USD][position])
        widen(flaw, 1.0 - roster.terms[position].quality)
        if has(known, position):
            widen(latency, roster.found[COLUMN_PREDICTED][position])
    middle = (latency[0] + latency[1]) / 2 if known else 0
    positions = draw.eligible
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        found = roster.found[COLUMN_PREDICTED][position] if has(known, position) else middle
        roster.found[COLUMN_SCORE][position] = (
            roster.balance[0] * scaled(usd, roster.found[COLUMN_USD][position])
            + roster.balance[1] * scaled(latency, found)
            + roster.balance[2] * scaled(flaw, 1.0 - roster.terms[position].quality)
        )
    draw.best = lowest_scores(roster, draw.eligible)
    draw.unknown = stale & ~draw.best if known else 0

cdef void distribute(
    Roster* roster, const Wish* wish, uint64_t eligible, Draw* draw
) noexcept nogil:
    draw.eligible = draw.best = eligible
    draw.unknown = 0
    draw.spread = SPREAD_EQUALLY
    draw.exploration = roster.exploration
    draw.weights = 0
    if wish.sticky:
        draw.exploration = 0
        score_sticky(roster, wish, draw)
    elif wish.policy == POLICY_ORDERED:
        draw.best = eligible & (~eligible + 1)
    elif wish.policy == POLICY_WEIGHTED:
        weigh(roster, wish, draw)
    elif wish.policy == POLICY_LEAST_LOADED:
        pair_up(roster, draw)
    elif wish.policy == POLICY_CHEAPEST:
        price(roster, wish, draw)
    elif wish.policy == POLICY_FASTEST:
        predict(roster, wish, draw)
    elif wish.policy == POLICY_CHEAPEST_WITHIN_SLO:
        price_within_slo(roster, wish, draw)
    else:
        weigh_up(roster, wish, draw)


# The draw, and how probable it was

cdef int drawn_by_weight(const Roster* roster, const Draw* draw, uint64_t* random) noexcept nogil:
    cdef double point = random_unit(random) * draw.weights
    cdef uint64_t positions = draw.best
    cdef int position, last = lowest(positions)
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        if roster.found[COLUMN_WEIGHT][position] > 0:
            last = position
            point -= roster.found[COLUMN_WEIGHT][position]
            if point < 0:
                break
    # Why `last`: rounding may leave a point just above the sum of all.
    return last

cdef int drawn_by_pair(const Roster* roster, const Draw* draw, uint64_t* random) noexcept nogil:
    # Two different ones, in random order; the first wins a tie.
    cdef uint64_t size = <uint64_t>size_of(draw.best)
    cdef uint64_t first, second
    cdef int one, other
    if size == 1:
        return lowest(draw.best)
    first = random_below(random, size)
    second = random_below(random, size - 1)
    if second >= first:
        second += 1
    one, other = nth(draw.best, first), nth(draw.best, second)
    return other if roster.found[COLUMN_LOAD][other] < roster.found[COLUMN_LOAD][one] else one

cdef int drawn(
    const Roster* roster, const Draw* draw, bint* exploring, uint64_t* random
) noexcept nogil:
    exploring[0] = True
    if draw.exploration > 0 and random_unit(random) < draw.exploration:
        return any_of(draw.eligible, random)
    if draw.unknown and random_unit(random) < UNKNOWN_SHARE:
        return any_of(draw.unknown, random)
    exploring[0] = False
    if draw.spread == SPREAD_BY_WEIGHT:
        return drawn_by_weight(roster, draw, random)
    if draw.spread == SPREAD_BY_PAIR:
        return drawn_by_pair(roster, draw, random)
    return any_of(draw.best, random)

cdef double policy_probability(
    const Roster* roster, const Draw* draw, int position
) noexcept nogil:
    if not has(draw.best, position):
        return 0.0
    if draw.spread == SPREAD_BY_WEIGHT:
        return roster.found[COLUMN_WEIGHT][position] / draw.weights
    if draw.spread == SPREAD_BY_PAIR:
        return pair_probability(roster, draw.best, position)
    return 1.0 / <double>size_of(draw.best)

cdef double pair_probability(
    const Roster* roster, uint64_t positions, int position
) noexcept nogil:
    # Of the size × (size - 1) ordered pairs it wins both orders against a higher load,
    # and one of an equal one.
    cdef const double* loads = roster.found[COLUMN_LOAD]
    cdef double load = loads[position]
    cdef uint64_t size = <uint64_t>size_of(positions)
    cdef int64_t won = -1               # against itself, which is counted as an equal one
    cdef int other
    if size == 1:
        return 1.0
    for other in range(roster.length):
        # Cost: no branch, since half of them would be mispredicted; several at once.
        won += <int64_t>(loads[other] > load) + <int64_t>(loads[other] >= load)
    return <double>won / <double>(size * (size - 1))

cdef double probability_of(const Roster* roster, const Draw* draw, int position) noexcept nogil:
    cdef double probability
    cdef double unknown = UNKNOWN_SHARE if draw.unknown else 0.0
    if not has(draw.eligible, position):
        return 0.0
    probability = (1.0 - unknown) * policy_probability(roster, draw, position)
    if has(draw.unknown, position):
        probability += unknown / <double>size_of(draw.unknown)
    return (
        draw.exploration / <double>size_of(draw.eligible)
        + (1.0 - draw.exploration) * probability
    )
