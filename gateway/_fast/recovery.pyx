"""What an exchange does when an attempt fails: see recovery.pxd for the order and the rules."""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from gateway._fast.attempt cimport ATTEMPT_ENDED, Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.breaker cimport breaker_admit
from gateway._fast.budget cimport budget_withdraw
from gateway._fast.decision cimport new_decision
from gateway._fast.dispatch cimport Dispatch
from gateway._fast.hashing cimport random_below
from gateway._fast.outcome cimport (
    OUTCOME_ANSWER_VIOLATED, OUTCOME_CLIENT_CLOSED, OUTCOME_NO_BACKEND, OUTCOME_OK, OUTCOME_STREAM_ERROR,
    OUTCOME_TRUNCATED, OUTCOME_UPSTREAM_4XX, OUTCOME_UPSTREAM_CLOSED, Outcome,
)
from gateway._fast.reply cimport asked_ns
from gateway._fast.request cimport Request
from gateway._fast.routes cimport CHOSEN_WAIT, Choice
from gateway._fast.table cimport Route

cdef bytes CRLF = b"\r\n"


cdef class Recovery(Dispatch):

    cdef int decide(self) except? -100:
        """Choose among the candidates, and keep how it was done; a position, or CHOSEN_*."""
        cdef Choice choice
        cdef uint64_t draw = self.worker.random
        cdef int position = self.route.candidates.choose(&self.wish, &choice, &self.worker.random)
        self.is_panicking = choice.is_panic
        if self.worker.recorder is None:
            return position
        if self.decision is not None:
            if self.decisions is None:
                self.decisions = []
            self.decisions.append(self.decision)
        self.decision = new_decision(
            self.route.decision_fields, self.route.record_names, self.route.candidates, &self.wish, &choice, draw
        )
        return position

    cdef int plan_hedge(self, Backend backend, uint64_t now_ns) except -1:
        cdef uint64_t after_ns
        if not self.route.hedges or self.uploading or self.hedge is not None or self.attempts > 1:
            return 0
        after_ns = self.route.hedge_after_ns or backend.cell.first_byte_q_ns[2]
        self.resume_ns = now_ns + after_ns if after_ns else 0
        return 0

    cdef int take_winner(self, Attempt attempt) except -1:
        """Of two attempts the first good answer counts; the other is cancelled at once."""
        cdef Attempt other = self.hedge if attempt is self.attempt else self.attempt
        self.hedge = None
        self.resume_ns = 0
        self.attempt = attempt
        if other is not None and other.state != ATTEMPT_ENDED:
            other.cancel(self.worker.now())
        return 0

    cdef int attempt_ended(self, Attempt attempt) except -1:
        """An attempt is over: answer with it, try again, or fall back."""
        cdef uint64_t now_ns = attempt.ended_ns
        self.upstream_ns += now_ns - asked_ns(attempt)
        if self.committed:
            return self.end_relay(attempt, now_ns)
        if is_good(attempt) and (not self.route.checks_answers or self.is_as_agreed(attempt)):
            self.take_winner(attempt)
            return self.answer(attempt, now_ns)
        if self.hedge is not None:
            # The other one is still under way: it decides.
            if attempt is self.attempt:
                self.attempt = self.hedge
            self.hedge = None
            if self.attempt.state != ATTEMPT_ENDED:
                self.keep_failed(attempt)
                return 0
        self.keep_failed(attempt)
        if self.client is None:
            return self.finish(OUTCOME_CLIENT_CLOSED, now_ns)
        if self.retries_elsewhere(attempt, now_ns):
            return self.retry(attempt, now_ns)
        return self.conclude(now_ns)

    cdef bint is_as_agreed(self, Attempt attempt) except -1:
        """The contract on answers: one that is refused is a failure; one may be repaired."""
        if (
            attempt.body is None or attempt.is_encoded or not 200 <= attempt.status < 300
            or self.operation.capability == 0 or PyBytes_GET_SIZE(attempt.body) == 0
        ):
            return True
        self.findings = self.table.slow.checked_answer(self.route.plan, attempt.body, self.findings)
        if self.findings is None:
            return True
        if self.findings.is_refused:
            attempt.outcome = OUTCOME_ANSWER_VIOLATED
            return False
        if self.findings.body is not None:
            self.teed = [attempt.body]  # the record keeps what came
            attempt.body = self.findings.body
        return True

    cdef int keep_failed(self, Attempt attempt) except -1:
        """Remember the failure that says most: an answer before a broken connection."""
        if self.failed is None or attempt.body is not None and (
            # Why: what a fallback says about itself is less than what its route said before.
            self.failed.body is None or self.fallback_at == 0
        ):
            self.failed = attempt
        return 0

    cdef bint retries_elsewhere(self, Attempt attempt, uint64_t now_ns) except -1:
        """Whether this failure may be retried: safe, allowed, affordable and in time."""
        cdef Route route = self.route
        cdef Request request = self.request
        if self.uploading or now_ns >= self.total_deadline_ns:
            return False
        if is_stale(attempt) and not self.tried_stale:
            return True
        if self.attempts >= route.attempts or attempt.should_not_retry:
            return False
        if not route.retries_method[request.method]:
            return False
        if attempt.body is not None and not self.retries_status(attempt):
            return False
        return budget_withdraw(&route.retry_budget, now_ns)

    cdef bint retries_status(self, Attempt attempt) except -1:
        cdef Route route = self.route
        if attempt.outcome == OUTCOME_TRUNCATED or attempt.outcome == OUTCOME_STREAM_ERROR:
            return True
        if attempt.outcome == OUTCOME_ANSWER_VIOLATED:
            return True
        if attempt.status == 400 and (route.larger_context or route.content_filter):
            return self.redirect(attempt)
        if attempt.status == 401 or attempt.status == 403:
            return not attempt.backend.forward
        return 100 <= attempt.status < 600 and route.retries_status[attempt.status]

    cdef bint redirect(self, Attempt attempt) except -1:
        """A 400 that another model may answer: a longer context, or another content filter."""
        cdef tuple positions
        if b'"context_length_exceeded"' in attempt.body:
            positions = self.route.larger_context
        elif b'"content_filter"' in attempt.body:
            positions = self.route.content_filter
        else:
            return False
        for position in positions:
            if not self.wish.tried >> <int>position & 1:
                self.forced = position
                return True
        return False

    cdef int retry(self, Attempt attempt, uint64_t now_ns) except -1:
        """Elsewhere at once; at the same backend only after a pause, if nobody else is left."""
        cdef uint64_t pause_ns
        self.route.row.retries += 1
        if is_stale(attempt) and not self.tried_stale:
            self.tried_stale = True
            self.attempts -= 1
            return self.lease(attempt.position, attempt.backend, now_ns)
        if self.forced >= 0 or self.has_untried(now_ns):
            return self.choose(now_ns)
        pause_ns = self.backoff_ns(attempt)
        if now_ns + pause_ns >= self.total_deadline_ns:
            return self.conclude(now_ns)
        self.wish.tried = 0
        self.state = EXCHANGE_PAUSED
        self.resume_ns = now_ns + pause_ns
        return self.rearm(now_ns)

    cdef bint has_untried(self, uint64_t now_ns) except -1:
        """Whether a candidate that has not failed this request could take it now."""
        cdef int position
        self.wish.now_ns = now_ns
        position = self.decide()
        if position >= 0:
            self.forced = position
        return position >= 0 or position == CHOSEN_WAIT

    cdef uint64_t backoff_ns(self, Attempt attempt) except? 0:
        """Full jitter under an exponential bound; never before Retry-After."""
        cdef Route route = self.route
        cdef uint64_t bound_ns = route.backoff_ns << min(self.attempts - 1, 20)
        bound_ns = min(bound_ns, route.backoff_max_ns)
        return max(attempt.retry_after_ns, random_below(&self.worker.random, bound_ns + 1))

    cdef int start_hedge(self, uint64_t now_ns) except -1:
        """No first byte yet: ask a second backend, if the budget and the deadline allow it."""
        cdef Route route = self.route
        cdef Backend backend
        cdef int position
        self.resume_ns = 0
        self.wish.now_ns = now_ns
        position = self.decide()
        if position < 0 or not budget_withdraw(&route.hedge_budget, now_ns):
            return 0
        backend = <Backend>route.backends[position]
        if not breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
            return 0
        route.row.hedges += 1
        self.hedge = self.new_attempt(position, backend)
        self.hedge.is_hedge = True
        return self.hedge.start(now_ns)

    cdef int conclude(self, uint64_t now_ns) except -1:
        """Nothing is left to try among the candidates."""
        cdef Attempt failed = self.failed
        if failed is not None and is_clients_fault(failed):
            return self.answer(failed, now_ns)
        return self.fall_back(OUTCOME_NO_BACKEND if failed is None else failed.outcome, now_ns)

    cdef int fall_back(self, Outcome outcome, uint64_t now_ns) except -1:
        """The route's chain, in the user's order; without one, the failure as it is."""
        cdef Route route = self.route
        cdef int done
        while route is not None and self.fallback_at < len(route.fallback):
            entry = route.fallback[self.fallback_at]
            self.fallback_at += 1
            done = self.take_fallback(entry, now_ns)
            if done:
                return 0
            route = self.route
        self.fallback = None
        if self.failed is not None and self.failed.body is not None and self.failed.status >= 400:
            return self.answer(self.failed, now_ns)
        return self.refuse(outcome, now_ns)

    cdef bint take_fallback(self, object entry, uint64_t now_ns) except -1:
        """Try one entry; True when it took the exchange over."""
        cdef str kind = entry.kind
        cdef tuple kept
        if now_ns >= self.total_deadline_ns and (kind == "backend" or kind == "route"):
            return False
        self.fallback = None
        if kind == "backend":
            return self.fall_back_to_backend(entry.index, now_ns)
        if kind == "route":
            return self.fall_back_to_route(entry.index, now_ns)
        if kind == "cached":
            kept = None if self.route.answers is None else self.route.answers.get(self.answer_key())
            if kept is None:
                return False
            self.fallback = kind
            return self.say_fallback(kept[0], kept[1], kept[2], now_ns)
        self.fallback = kind
        if kind == "rule":
            body = entry.body if entry.expression is None else self.table.slow.rule_body(
                entry, self.request.body
            )
            return self.say_fallback(entry.status, entry.content_type.encode("latin-1"), body, now_ns)
        status, content_type, body = self.table.slow.refusal(self.operation.protocol, "unavailable", "")
        return self.say_fallback(status, content_type, body, now_ns)

    cdef bint say_fallback(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1:
        cdef Outcome outcome = OUTCOME_OK if status < 400 else OUTCOME_NO_BACKEND
        self.route.row.fallbacks += 1
        self.say(status, content_type, body, outcome, now_ns)
        self.finish(outcome, now_ns)
        return True

    cdef bint fall_back_to_backend(self, int index, uint64_t now_ns) except -1:
        cdef Backend backend
        cdef int position
        if self.uploading:
            return False
        for position, candidate in enumerate(self.route.backends):
            backend = <Backend>candidate
            if backend.index == index and not self.wish.tried >> position & 1:
                if backend.plan.is_off or not breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
                    break
                self.route.row.fallbacks += 1
                self.fallback = "backend"
                self.lease(position, backend, now_ns)
                return True
        return False

    cdef bint fall_back_to_route(self, int index, uint64_t now_ns) except -1:
        """The whole of another route, its own chain included, within this one's deadline."""
        cdef Route route = <Route>self.table.routes_by_index[index]
        if self.uploading or route.is_off:
            return False
        self.route.row.fallbacks += 1
        self.route.row.in_flight -= 1
        self.route.row.outcomes[<int>(OUTCOME_NO_BACKEND if self.failed is None else self.failed.outcome)] += 1
        self.route = route
        route.row.requests += 1
        route.row.in_flight += 1
        self.attempts = 0
        self.fallback_at = 0
        self.failed = None
        self.fill_wish()
        self.fallback = "route"
        self.choose(now_ns)
        return True

    cdef int drop_attempts(self, uint64_t now_ns) except -1:
        if self.hedge is not None:
            self.hedge.cancel(now_ns)
            self.hedge = None
        if self.attempt is not None and self.attempt.state != ATTEMPT_ENDED:
            self.upstream_ns += now_ns - asked_ns(self.attempt)
            self.attempt.cancel(now_ns)
        return 0

    cdef object answer_key(self):
        return self.table.slow.answer_key(
            self.request.path, self.request.field(b"authorization"), self.request.body
        )

    cdef int keep_answer(self, Attempt attempt) except -1:
        if self.fallback is None and not self.uploading and not attempt.is_head:
            self.route.answers.keep(self.answer_key(), (200, content_type_of(attempt.fields), attempt.body))
        return 0

    cdef int choose(self, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int lease(self, int position, Backend backend, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int fill_wish(self) except -1:
        raise NotImplementedError

    cdef int rearm(self, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int answer(self, Attempt attempt, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int end_relay(self, Attempt attempt, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1:
        raise NotImplementedError

    cdef int finish(self, Outcome outcome, uint64_t now_ns) except -1:
        raise NotImplementedError


cdef bytes content_type_of(bytes fields):
    """The content type among an attempt's answer fields."""
    cdef Py_ssize_t at = fields.lower().find(b"content-type: ")
    if at < 0:
        return b"application/json"
    return fields[at + 14:fields.find(CRLF, at)]


cdef bint is_good(Attempt attempt) noexcept:
    """An answer to give the client without a second thought."""
    return attempt.outcome == OUTCOME_OK


cdef bint is_clients_fault(Attempt attempt) noexcept:
    """A refusal that no other backend would take back, nor a fallback help: the client must know."""
    return attempt.outcome == OUTCOME_UPSTREAM_4XX and not (
        attempt.status == 401 or attempt.status == 403 or attempt.status == 408
    )


cdef bint is_stale(Attempt attempt) noexcept nogil:
    """An idle connection that died as it was taken: nothing of the answer had come."""
    return attempt.is_reused and attempt.outcome == OUTCOME_UPSTREAM_CLOSED and not attempt.heard
