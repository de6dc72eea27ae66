import gc
import sys
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway._fast.queue import Queue, Ticket, Waiter
from tests.reference.queue import FULL, OK, TIMEOUT, Entry, ListQueue

MS = 1_000_000
START_NS = 1_000_000_000_000_000


def push_all(queue: Queue, *notes: str, priority: int = 0, now_ns: int = START_NS) -> list[Ticket]:
    tickets = [Ticket(priority, note=note) for note in notes]
    assert [queue.push(ticket, now_ns) for ticket in tickets] == [OK] * len(notes)
    return tickets


def pop_all(queue: Queue, now_ns: int = START_NS) -> list[object]:
    """The notes of those that are served."""
    notes = []
    while (waiter := queue.pop(now_ns)) is not None:
        assert isinstance(waiter, Ticket)
        if waiter.verdict == OK:
            notes.append(waiter.note)
    return notes


def test_first_come_first_served() -> None:
    queue = Queue(6)
    push_all(queue, "a", "b", "c")
    assert pop_all(queue) == ["a", "b", "c"]


def test_over_half_full_the_newest_is_served_first() -> None:
    queue = Queue(6)
    push_all(queue, "a", "b", "c", "d", "e")
    # Five and four are more than half of six; three are not.
    assert pop_all(queue) == ["e", "d", "a", "b", "c"]


def test_the_most_urgent_lane_is_served_first() -> None:
    queue = Queue(100)
    push_all(queue, "low", priority=7)
    push_all(queue, "middle", "middle too", priority=3)
    push_all(queue, "high", priority=0)
    assert pop_all(queue) == ["high", "middle", "middle too", "low"]


def test_a_full_queue_refuses_who_is_not_more_urgent() -> None:
    queue = Queue(2)
    push_all(queue, "a", "b", priority=3)
    late = Ticket(3)
    assert queue.push(late, START_NS) == FULL
    assert (late.verdict, queue.evicted, len(queue)) == (FULL, None, 2)


def test_a_full_queue_evicts_the_oldest_of_the_least_urgent_lane() -> None:
    queue = Queue(4)
    push_all(queue, "a", priority=2)
    old, _ = push_all(queue, "b", "c", priority=5)
    push_all(queue, "d", priority=3)
    assert queue.push(Ticket(1, note="e"), START_NS) == OK
    assert queue.evicted is old
    assert (old.verdict, queue.evictions, len(queue)) == (FULL, 1, 4)
    assert queue.push(Ticket(7), START_NS) == FULL
    assert queue.evicted is None, "only the last push counts"


def test_a_queue_without_room_refuses_everyone() -> None:
    queue = Queue(0)
    assert queue.push(Ticket(), START_NS) == FULL
    assert queue.pop(START_NS) is None


def test_who_waited_too_long_is_refused() -> None:
    queue = Queue(10, max_wait_ns=100 * MS)
    ticket, _ = push_all(queue, "a", "b")
    assert ticket.wait_until_ns == START_NS + 100 * MS
    popped = queue.pop(START_NS + 100 * MS)
    assert popped is ticket
    assert (ticket.verdict, queue.expired) == (TIMEOUT, 1)


def test_a_waiters_own_patience_counts_when_it_is_shorter() -> None:
    queue = Queue(10, max_wait_ns=100 * MS)
    hasty, patient = Ticket(0, START_NS + 10 * MS), Ticket(0, START_NS + 999 * MS)
    queue.push(patient, START_NS)
    queue.push(hasty, START_NS)
    assert hasty.wait_until_ns == START_NS + 10 * MS
    assert patient.wait_until_ns == START_NS + 100 * MS
    assert queue.pop(START_NS + 10 * MS) is patient
    assert queue.pop(START_NS + 10 * MS) is hasty
    assert (patient.verdict, hasty.verdict) == (OK, TIMEOUT)


def test_removing_takes_a_waiter_out_of_the_middle() -> None:
    queue = Queue(10)
    _, middle, _ = push_all(queue, "a", "b", "c")
    assert queue.remove(middle)
    assert not queue.remove(middle)
    assert not Queue(3).remove(middle)
    assert pop_all(queue) == ["a", "c"]


def test_a_waiter_that_left_may_come_again() -> None:
    queue, other = Queue(10), Queue(10)
    (ticket,) = push_all(queue, "a")
    queue.pop(START_NS)
    assert other.push(ticket, START_NS) == OK
    assert other.pop(START_NS) is ticket


@pytest.mark.parametrize("waiter", [Ticket(8), Ticket(-1)])
def test_a_priority_that_is_not_there_is_refused(waiter: Ticket) -> None:
    with pytest.raises(ValueError, match="priority"):
        Queue(1).push(waiter, START_NS)


def test_a_waiter_waits_in_one_queue_at_a_time() -> None:
    queue = Queue(10)
    (ticket,) = push_all(queue, "a")
    for each in (queue, Queue(10)):
        with pytest.raises(ValueError, match="one queue"):
            each.push(ticket, START_NS)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="hold -1"):
        Queue(-1)


# CoDel

TARGET_NS, INTERVAL_NS = 5 * MS, 100 * MS


def standing_queue() -> tuple[Queue, int]:
    """A queue whose oldest was past the target at every look of one interval."""
    queue, now_ns = Queue(1000, 0, TARGET_NS, INTERVAL_NS), START_NS
    push_all(queue, *map(str, range(40)), now_ns=now_ns)
    now_ns += 20 * MS
    for _ in range(5):
        push_all(queue, "later", now_ns=now_ns)
        queue.pop(now_ns)
        now_ns += 20 * MS
    return queue, now_ns


def test_a_standing_queue_drops_what_waited_over_twice_the_target() -> None:
    queue, now_ns = standing_queue()
    first = queue.pop(now_ns)
    assert queue.overloaded
    assert first is not None
    assert first.verdict == OK, "the first look of an interval lets nobody go"
    push_all(queue, "fresh", now_ns=now_ns)
    later_ns = now_ns + 2 * TARGET_NS
    verdicts = []
    while (waiter := queue.pop(later_ns)) is not None:
        verdicts.append(waiter.verdict)
    assert verdicts[-1] == OK, "the fresh one waited twice the target, not more"
    assert set(verdicts[:-1]) == {TIMEOUT}
    assert queue.dropped == len(verdicts) - 1


def test_an_interval_without_delay_ends_the_overload() -> None:
    queue, now_ns = standing_queue()
    queue.pop(now_ns)
    while queue.pop(now_ns + 50 * MS) is not None:
        pass
    assert queue.overloaded
    now_ns += INTERVAL_NS
    push_all(queue, "a", "b", now_ns=now_ns)
    assert pop_all(queue, now_ns + 50 * MS) == ["a", "b"]
    assert not queue.overloaded


def test_a_queue_that_ran_empty_is_not_overloaded() -> None:
    queue = Queue(1000, 0, TARGET_NS, INTERVAL_NS)
    now_ns = START_NS
    for _ in range(20):
        push_all(queue, "a", now_ns=now_ns)
        now_ns += 30 * MS
        assert pop_all(queue, now_ns) == ["a"]
    assert queue.dropped == 0


def test_without_a_target_nothing_is_dropped() -> None:
    queue = Queue(1000)
    push_all(queue, "a", "b")
    assert pop_all(queue, START_NS + 10**12) == ["a", "b"]


# Hopeless work


def test_the_expected_wait_is_length_times_service_over_concurrency() -> None:
    queue = Queue(100)
    assert queue.expected_wait_ns(0) == 0
    queue.on_served(80 * MS, 4)
    push_all(queue, *"abcdef", priority=2)
    push_all(queue, *"gh", priority=5)
    assert queue.expected_wait_ns(2) == 6 * 80 * MS // 4
    assert queue.expected_wait_ns(7) == 8 * 80 * MS // 4
    assert queue.expected_wait_ns(1) == 0, "nobody as urgent waits"


def test_service_time_is_an_average_of_the_last_few() -> None:
    queue = Queue(100)
    queue.on_served(160 * MS, 1)
    queue.on_served(320 * MS, 1)
    assert queue.service_ns == 170 * MS


def test_work_that_cannot_make_its_deadline_is_known() -> None:
    queue = Queue(100)
    queue.on_served(100 * MS, 2)
    push_all(queue, *"abcd")
    assert queue.can_make(0, START_NS + 200 * MS, START_NS)
    assert not queue.can_make(0, START_NS + 199 * MS, START_NS)


def test_without_knowledge_everything_may_be_made() -> None:
    queue = Queue(100)
    push_all(queue, *"abcd")
    assert queue.can_make(0, START_NS, START_NS)


# References


class Someone(Waiter):
    """A waiter that can be watched."""


def test_a_queue_keeps_its_waiters_and_lets_go_of_them() -> None:
    queue = Queue(10)
    someone = Someone()
    before = sys.getrefcount(someone)
    for _ in range(3):
        queue.push(someone, START_NS)
        assert sys.getrefcount(someone) > before
        queue.pop(START_NS)
    assert sys.getrefcount(someone) == before
    gone = weakref.ref(someone)
    queue.push(someone, START_NS)
    del someone
    assert gone() is not None
    queue.pop(START_NS)
    assert gone() is None


def test_neighbours_are_not_kept_by_who_left() -> None:
    queue = Queue(10)
    left, right = Someone(), Someone()
    queue.push(left, START_NS)
    queue.push(right, START_NS)
    gone = weakref.ref(right)
    queue.remove(left)
    queue.remove(right)
    del right
    assert gone() is None


def test_a_queue_and_its_waiters_are_collected_together() -> None:
    class Owner(Waiter):
        def __init__(self, queue: Queue) -> None:
            self.queue_of_mine = queue
            queue.push(self, START_NS)

    queue = Queue(5000)
    gone = [weakref.ref(Owner(queue)) for _ in range(5000)]
    assert all(ref() for ref in gone)
    del queue
    gc.collect()
    assert not any(ref() for ref in gone)


def test_an_evicted_waiter_is_held_until_the_next_push() -> None:
    queue = Queue(1)
    someone = Ticket(5)
    before = sys.getrefcount(someone)
    queue.push(someone, START_NS)
    queue.push(Ticket(0), START_NS)
    assert sys.getrefcount(someone) == before + 1
    queue.push(Ticket(0), START_NS)
    assert sys.getrefcount(someone) == before


# Against the list


class QueueMachine(RuleBasedStateMachine):
    """Every push, pop and removal has the result the list has."""

    def __init__(self) -> None:
        super().__init__()
        terms = (8, 150 * MS, 10 * MS, 40 * MS)
        self.queue, self.model = Queue(*terms), ListQueue(*terms)
        self.now_ns = START_NS
        self.entries: dict[int, tuple[Ticket, Entry]] = {}

    @rule(ms=st.integers(0, 60))
    def sleep(self, ms: int) -> None:
        self.now_ns += ms * MS

    @rule(priority=st.integers(0, 7), patience_ms=st.one_of(st.just(0), st.integers(1, 300)))
    def push(self, priority: int, patience_ms: int) -> None:
        until_ns = self.now_ns + patience_ms * MS if patience_ms else 0
        ticket, entry = Ticket(priority, until_ns), Entry(priority, until_ns)
        self.entries[id(entry)] = ticket, entry
        outcome, evicted = self.model.push(entry, self.now_ns)
        assert self.queue.push(ticket, self.now_ns) == outcome
        found = self.entries[id(evicted)][0] if evicted else None
        assert self.queue.evicted is found

    @rule()
    def pop(self) -> None:
        expected = self.model.pop(self.now_ns)
        waiter = self.queue.pop(self.now_ns)
        if expected is None:
            assert waiter is None
            return
        entry, verdict = expected
        assert waiter is self.entries[id(entry)][0]
        assert waiter.verdict == verdict

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.model.waiting:
            entry = data.draw(st.sampled_from(self.model.waiting))
            self.model.waiting.remove(entry)
            assert self.queue.remove(self.entries[id(entry)][0])

    @invariant()
    def is_as_long_as_the_list(self) -> None:
        assert len(self.queue) == len(self.model.waiting) <= 8
        assert self.queue.overloaded is self.model.overloaded


QueueMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=60)
TestQueueMachine = QueueMachine.TestCase


def test_a_full_queue_that_is_served_in_time_stays_first_come_first_served() -> None:
    """Passing over who would be served in time would only refuse him late."""
    queue, now_ns = Queue(4, 0, 50 * MS, 1000 * MS), 1000 * MS
    tickets = [Ticket(0) for _ in range(4)]
    for ticket in tickets:
        queue.push(ticket, now_ns)
    assert queue.pop(now_ns + 80 * MS) is tickets[0]
    assert queue.pop(now_ns + 101 * MS) is tickets[3]


def test_a_newcomer_is_refused_at_once_where_the_wait_would_outlast_the_longest() -> None:
    queue = Queue(10, 100 * MS, 0, 0)
    queue.on_served(60 * MS, 1)
    queue.push(Ticket(0), 0)
    assert queue.can_make(0, 10_000 * MS, 0)
    queue.push(Ticket(0), 0)
    assert not queue.can_make(0, 10_000 * MS, 0)
