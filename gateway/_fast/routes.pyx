"""Choosing a backend: the filters, and what Python may ask. The rules are in the .pxd.

Sets of positions are words of 64 bits, from which a filter takes bits away. So no lists
are built, and a Choice can be kept for the record as it is.
"""

cimport cython
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.string cimport memset

from gateway._fast.board cimport QUANTILES, Board, Cell, atomic_load
from gateway._fast.breaker cimport breaker_is_cooling, breaker_is_passable, read_breaker
from gateway._fast.hashing cimport xxh3
from gateway._fast.learned cimport (
    Gauges, bytes_per_token_of, find_gauges, in_flight_of, load_at
)
from gateway._fast.limit cimport read_adaptive
from gateway._fast.policies cimport (
    CANDIDATES, COLUMN_SCORE, POLICY_WEIGHTED, Draw, all_of, at_limit, bit, distribute, drawn,
    expected_usd, has, is_fresh, limit_at, lowest, predicted_ns, probability_of, size_of,
    slow_started,
)

# plan.POLICIES, in the same order; the tokens of Exclusion; of Metric.
POLICIES = (
    "ordered", "weighted", "least_loaded", "cheapest", "fastest", "cheapest_within_slo",
    "balanced",
)
EXCLUDED = (
    "", "disabled", "not_wanted", "capability", "context", "tried", "cooling_down",
    "breaker_open", "unhealthy", "at_limit",
)
METRICS = ("first_byte", "total")


cdef inline bint fits(const Roster* roster, int position, const Wish* wish) noexcept nogil:
    # input_bytes / bytes_per_token + output_tokens <= context_window
    return <double>wish.input_bytes <= (
        roster.windows[position] - <double>wish.output_tokens
    ) * bytes_per_token_of(roster.cells[position])

cdef uint64_t look_at_windows(
    const Roster* roster, uint64_t positions, const Wish* wish
) noexcept nogil:
    # Who could not hold what is asked and answered.
    cdef uint64_t short = 0
    cdef int position
    positions &= roster.windowed
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        if not fits(roster, position, wish):
            short |= bit(position)
    return short

cdef void look_at_state(
    const Roster* roster, uint64_t positions, uint64_t now_ns, uint64_t* excluded
) noexcept nogil:
    cdef const Cell* cell
    cdef int position
    while positions:
        position = lowest(positions)
        positions &= positions - 1
        cell = roster.cells[position]
        # Cost: nothing is wrong with nearly all of them, and one branch says so.
        if atomic_load(&cell.open_until_ns) | atomic_load(&cell.unhealthy) == 0 \
                and not breaker_is_cooling(cell, now_ns):
            continue
        if breaker_is_cooling(cell, now_ns):
            excluded[EXCLUDED_COOLING_DOWN] |= bit(position)
        if not breaker_is_passable(cell, &roster.terms[position].breaker, now_ns):
            excluded[EXCLUDED_BREAKER_OPEN] |= bit(position)
        if atomic_load(&cell.unhealthy):
            excluded[EXCLUDED_UNHEALTHY] |= bit(position)

cdef int failure(const uint64_t* excluded) noexcept nogil:
    # What is said when nobody is eligible.
    cdef int reason
    if excluded[EXCLUDED_AT_LIMIT]:
        return CHOSEN_WAIT
    for reason in range(EXCLUDED_TRIED, EXCLUDED_AT_LIMIT):
        if excluded[reason]:
            return CHOSEN_NO_BACKEND
    if excluded[EXCLUDED_CAPABILITY] | excluded[EXCLUDED_CONTEXT]:
        return CHOSEN_NOT_CAPABLE
    return CHOSEN_NO_BACKEND

cdef bint is_panic(const uint64_t* excluded, uint64_t capable, double share) noexcept nogil:
    # Rule: those tried already count: that they were tried makes the others no healthier.
    cdef uint64_t candidates = capable & ~excluded[EXCLUDED_COOLING_DOWN]
    cdef uint64_t usable = candidates & ~(
        excluded[EXCLUDED_BREAKER_OPEN] | excluded[EXCLUDED_UNHEALTHY]
    )
    if usable == candidates:
        return False
    return <double>size_of(usable) < share * <double>size_of(candidates)


cdef int read_terms(Terms* terms, object plan) except -1:
    """Fill `terms` from a BackendPlan, or anything with its attributes."""
    cdef bytes name = plan.name.encode()
    memset(terms, 0, sizeof(Terms))
    terms.capabilities = plan.capabilities
    terms.context_window = plan.context_window
    terms.max_concurrency = plan.max_concurrency
    terms.slow_start_ns = plan.slow_start_ns
    terms.input_usd = plan.input_usd
    terms.cached_usd = plan.cached_usd
    terms.output_usd = plan.output_usd
    terms.request_usd = plan.request_usd
    terms.quality = plan.quality
    terms.key = xxh3(name, <size_t>len(name), 0)
    terms.index = plan.index
    read_breaker(&terms.breaker, plan.breaker)
    read_adaptive(&terms.adaptive, plan.adaptive)
    return 0


@cython.final
cdef class Candidates:
    """The candidates of one route: who may serve a request, and who does."""

    def __init__(self, route, backends, Board board not None, cells, *, uint64_t seed=0):
        self.length = self.roster.length = len(route.candidates)
        if not 0 < self.length <= CANDIDATES:
            raise ValueError(f"a route has 1 to {CANDIDATES} candidates, not {self.length}")
        self.board = board
        self.random = seed
        self.policy = POLICIES.index(route.policy)
        self.roster.exploration = route.exploration
        self.panic_share = route.panic_share
        for position in range(3):
            self.roster.balance[position] = route.balance[position]
        self.read_slo(route.slo)
        self.names = tuple([backends[index].name for index in route.candidates])
        for position, index in enumerate(route.candidates):
            weight = route.weights[position] if position < len(route.weights) else 1
            self.place(position, backends[index], cells[index], weight)

    cdef int read_slo(self, object slo) except -1:
        if slo is not None:
            self.slo_metric = METRICS.index(slo.metric)
            self.slo_quantile = slo.quantile
            self.slo_limit_ns = slo.limit_ns
            if not 0 <= self.slo_quantile < QUANTILES:
                raise ValueError(f"there is no quantile {slo.quantile}")
        return 0

    cdef int place(self, int position, object plan, int cell, double weight) except -1:
        cdef Roster* roster = &self.roster
        cdef Terms* terms = &roster.terms[position]
        cdef int capability
        read_terms(terms, plan)
        find_gauges(&roster.gauges[position], self.board, cell)
        roster.cells[position] = self.board.cell(cell)
        roster.weights[position] = weight
        roster.windows[position] = <double>terms.context_window
        roster.ceilings[position] = terms.max_concurrency or UINT64_MAX
        roster.slow_starts_ns[position] = terms.slow_start_ns
        for capability in range(64):
            if has(terms.capabilities, capability):
                roster.able[capability] |= bit(position)
        if terms.context_window:
            roster.windowed |= bit(position)
        if terms.adaptive.initial:
            roster.adaptive |= bit(position)
        if terms.max_concurrency or terms.adaptive.initial:
            roster.limited |= bit(position)
        if weight <= 0:
            self.weightless |= bit(position)
        if plan.is_off:
            self.disabled |= bit(position)
        return 0

    def __len__(self):
        return self.length

    def __repr__(self):
        return f"<Candidates {POLICIES[self.policy]} of {', '.join(self.names)}>"

    cdef void wish_into(self, Wish* wish) noexcept nogil:
        memset(wish, 0, sizeof(Wish))
        wish.required = -1
        wish.policy = self.policy
        wish.slo_metric = self.slo_metric
        wish.slo_quantile = self.slo_quantile
        wish.slo_limit_ns = self.slo_limit_ns

    cdef int choose(self, const Wish* wish, Choice* choice, uint64_t* random) noexcept nogil:
        cdef Draw draw
        self.filter(wish, choice)
        if choice.eligible == 0:
            choice.position = failure(choice.excluded)
            return choice.position
        distribute(&self.roster, wish, choice.eligible, &draw)
        choice.position = drawn(&self.roster, &draw, &choice.is_exploring, random)
        choice.probability = probability_of(&self.roster, &draw, choice.position)
        return choice.position

    # Filters

    cdef void filter(self, const Wish* wish, Choice* choice) noexcept nogil:
        cdef uint64_t left
        cdef uint64_t* excluded = choice.excluded
        cdef int reason
        memset(choice, 0, sizeof(Choice))
        left = self.capable(wish, excluded)
        look_at_state(&self.roster, left, wish.now_ns, excluded)
        choice.is_panic = is_panic(excluded, left, self.panic_share)
        if choice.is_panic:
            excluded[EXCLUDED_BREAKER_OPEN] = excluded[EXCLUDED_UNHEALTHY] = 0
        excluded[EXCLUDED_TRIED] = left & wish.tried
        for reason in range(EXCLUDED_TRIED, EXCLUDED_AT_LIMIT):
            # The first reason that applies is the reason.
            excluded[reason] &= left
            left &= ~excluded[reason]
        excluded[EXCLUDED_AT_LIMIT] = at_limit(&self.roster, wish, left)
        choice.eligible = left & ~excluded[EXCLUDED_AT_LIMIT]
        excluded[EXCLUDED_NOT] = choice.eligible

    cdef uint64_t capable(self, const Wish* wish, uint64_t* excluded) noexcept nogil:
        # Who could serve this request on a good day.
        cdef uint64_t left = all_of(self.length)
        excluded[EXCLUDED_DISABLED] = left & self.disabled
        if wish.policy == POLICY_WEIGHTED and wish.required < 0:
            excluded[EXCLUDED_DISABLED] |= self.weightless
        left &= ~excluded[EXCLUDED_DISABLED]
        if wish.required >= 0:
            excluded[EXCLUDED_NOT_WANTED] = left & ~self.wanted(wish.required)
            left &= ~excluded[EXCLUDED_NOT_WANTED]
        excluded[EXCLUDED_CAPABILITY] = left & ~self.able(wish.capabilities)
        left &= ~excluded[EXCLUDED_CAPABILITY]
        excluded[EXCLUDED_CONTEXT] = look_at_windows(&self.roster, left, wish)
        return left & ~excluded[EXCLUDED_CONTEXT]

    cdef uint64_t wanted(self, int required) noexcept nogil:
        # Who is the one backend that the request names.
        cdef uint64_t found = 0
        cdef int position
        for position in range(self.length):
            if self.roster.terms[position].index == required:
                found |= bit(position)
        return found

    cdef uint64_t able(self, uint64_t capabilities) noexcept nogil:
        # Who has all of these.
        cdef uint64_t found = ~<uint64_t>0
        while capabilities:
            found &= self.roster.able[lowest(capabilities)]
            capabilities &= capabilities - 1
        return found

    cdef int reason_of(self, const Choice* choice, int position) noexcept nogil:
        cdef int reason
        for reason in range(1, EXCLUSIONS):
            if has(choice.excluded[reason], position):
                return reason
        return EXCLUDED_NOT

    cdef uint64_t available_at_ns(self, const Choice* choice) noexcept nogil:
        cdef uint64_t positions = (
            choice.excluded[EXCLUDED_COOLING_DOWN] | choice.excluded[EXCLUDED_BREAKER_OPEN]
        )
        cdef uint64_t at_ns, soonest_ns = 0
        cdef const Cell* cell
        while positions:
            cell = self.roster.cells[lowest(positions)]
            positions &= positions - 1
            at_ns = max(
                atomic_load(&cell.cooldown_until_ns), atomic_load(&cell.open_until_ns)
            )
            if soonest_ns == 0 or at_ns < soonest_ns:
                soonest_ns = at_ns
        return soonest_ns

    # What Python calls

    cdef int make_wish(self, Wish* wish, dict asked) except -1:
        self.wish_into(wish)
        wish.now_ns = asked.pop("now_ns")
        wish.capabilities = asked.pop("capabilities", 0)
        wish.input_bytes = asked.pop("input_bytes", 0)
        wish.output_tokens = asked.pop("output_tokens", 0)
        wish.sticky = asked.pop("sticky", 0)
        wish.tried = asked.pop("tried", 0)
        wish.required = asked.pop("required", -1)
        policy = asked.pop("policy", None)
        if policy is not None:
            wish.policy = POLICIES.index(policy)
        if asked:
            raise TypeError(f"a wish has no {', '.join(asked)}")
        return 0

    def disable(self, int position, bint disabled=True) -> None:
        """Take a candidate out, or back in, whatever its state."""
        if not 0 <= position < self.length:
            raise IndexError(f"candidate {position} of {self.length}")
        self.disabled = (self.disabled | bit(position)) if disabled else (
            self.disabled & ~bit(position)
        )

    def choose_once(self, **asked) -> dict:
        """One choice, as a dict; `position` is negative when there is none (CHOSEN_*)."""
        cdef Wish wish
        cdef Choice choice
        self.make_wish(&wish, asked)
        self.choose(&wish, &choice, &self.random)
        return {
            "position": choice.position,
            "is_exploring": bool(choice.is_exploring),
            "is_panic": bool(choice.is_panic),
            "probability": choice.probability,
            "eligible": choice.eligible,
            "available_at_ns": self.available_at_ns(&choice),
        }

    def choose_often(self, uint64_t times, **asked) -> list:
        """How often each position was chosen, of so many choices for the same wish."""
        cdef Wish wish
        cdef Choice choice
        cdef uint64_t[CANDIDATES] counts
        cdef uint64_t _
        cdef int position
        memset(counts, 0, sizeof(counts))
        self.make_wish(&wish, asked)
        for _ in range(times):
            position = self.choose(&wish, &choice, &self.random)
            if position >= 0:
                counts[position] += 1
        return [counts[position] for position in range(self.length)]

    def explain(self, **asked) -> list:
        """What choosing finds out about each candidate for this wish, in order.

        Everything is worked out for everyone, also what the policy would not have looked at.
        """
        cdef Wish wish
        cdef Choice choice
        cdef Draw draw
        cdef int position
        self.make_wish(&wish, asked)
        memset(self.roster.found, 0, sizeof(self.roster.found))
        self.filter(&wish, &choice)
        memset(&draw, 0, sizeof(Draw))
        if choice.eligible:
            distribute(&self.roster, &wish, choice.eligible, &draw)
        return [
            explained(self, &wish, &choice, &draw, position) for position in range(self.length)
        ]


cdef dict explained(
    Candidates self, const Wish* wish, const Choice* choice, const Draw* draw, int position
):
    cdef const Terms* terms = &self.roster.terms[position]
    cdef const Cell* cell = self.roster.cells[position]
    cdef const Gauges* gauges = &self.roster.gauges[position]
    cdef double share = slow_started(terms.slow_start_ns, cell, wish.now_ns)
    cdef uint64_t limit = limit_at(&self.roster, position)
    return {
        "position": position,
        "backend": self.names[position],
        "excluded": EXCLUDED[self.reason_of(choice, position)],
        "expected_usd": expected_usd(terms, cell, wish),
        "predicted_ns": predicted_ns(cell, wish),
        "is_fresh": bool(is_fresh(cell)),
        "load": load_at(gauges, wish.now_ns) / share,
        "in_flight": in_flight_of(gauges),
        "limit": limit if limit != UINT64_MAX else None,
        "weight": self.roster.weights[position] * share,
        "score": self.roster.found[COLUMN_SCORE][position],
        "probability": probability_of(&self.roster, draw, position),
        "is_panic": bool(choice.is_panic),
    }
