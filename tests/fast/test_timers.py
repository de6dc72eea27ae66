import gc
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway._fast.timers import Alarm, Timed, Wheel, monotonic_ns
from tests.reference.timers import TICK_NS, SortedTimers

START_NS = 1_234_567_890_123_456_789
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


def make_alarm(wheel: Wheel, after_ns: int, callback: Callable[[int], object]) -> Alarm:
    alarm = Alarm(callback)
    alarm.arm(wheel, wheel.now_ns + after_ns)
    return alarm


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What went to sys.unraisablehook."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: seen.append(report.exc_value))
    return seen


def test_the_clock_is_the_monotonic_one() -> None:
    before = time.monotonic_ns()
    assert before <= monotonic_ns() <= time.monotonic_ns()


@pytest.mark.parametrize(
    "after_ns",
    [1, TICK_NS, 63 * TICK_NS, 64 * TICK_NS, 65 * TICK_NS, 41 * SECOND_NS, HOUR_NS, 100 * HOUR_NS],
)
def test_a_timer_fires_at_its_tick_and_not_before(after_ns: int) -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    alarm = make_alarm(wheel, after_ns, fired.append)
    tick_ns = -(-(START_NS + after_ns) // TICK_NS) * TICK_NS
    wheel.advance(tick_ns - 1)
    assert (fired, alarm.deadline_ns, wheel.armed) == ([], START_NS + after_ns, 1)
    wheel.advance(tick_ns)
    assert (fired, alarm.deadline_ns, wheel.armed) == ([tick_ns], 0, 0)


@pytest.mark.parametrize("step_ns", [TICK_NS // 3, TICK_NS, 7 * TICK_NS, 70 * TICK_NS, 2 * HOUR_NS])
def test_every_deadline_fires_once_whatever_the_steps(step_ns: int) -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    delays = [100 * TICK_NS * share // 7 + share for share in range(200)]

    def late_of(deadline_ns: int) -> Callable[[int], None]:
        return lambda now_ns: fired.append(now_ns - deadline_ns)

    alarms = [make_alarm(wheel, delay, late_of(START_NS + delay)) for delay in delays]
    while wheel.armed:
        wheel.advance(wheel.now_ns + step_ns)
    assert len(fired) == len(alarms)
    assert all(0 <= late < TICK_NS + step_ns for late in fired)


def test_a_deadline_in_the_past_fires_with_the_next_tick() -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    alarm = Alarm(fired.append)
    alarm.arm(wheel, 1)
    wheel.advance(START_NS + TICK_NS)
    assert fired == [START_NS + TICK_NS]


def test_the_last_deadline_there_is_waits() -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    alarm = Alarm(fired.append)
    alarm.arm(wheel, 2**64 - 1)
    wheel.advance(START_NS + 200 * HOUR_NS)
    assert (fired, wheel.armed) == ([], 1)


def test_a_jump_of_years_fires_everything_and_costs_little() -> None:
    wheel, fired = Wheel(0), list[int]()
    alarms = [make_alarm(wheel, share * HOUR_NS, fired.append) for share in range(1, 50)]
    wheel.advance(2**63)
    assert fired == [2**63] * len(alarms)


def test_arming_again_moves_the_deadline() -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    alarm = make_alarm(wheel, SECOND_NS, fired.append)
    alarm.arm(wheel, START_NS + 5 * SECOND_NS)
    wheel.advance(START_NS + 4 * SECOND_NS)
    assert (fired, wheel.armed) == ([], 1)
    wheel.advance(START_NS + 6 * SECOND_NS)
    assert len(fired) == 1


def test_arming_with_zero_disarms() -> None:
    wheel = Wheel(START_NS)
    alarm = make_alarm(wheel, SECOND_NS, print)
    alarm.arm(wheel, 0)
    assert (alarm.deadline_ns, wheel.armed) == (0, 0)


def test_disarming_twice_is_harmless() -> None:
    wheel = Wheel(START_NS)
    alarm = make_alarm(wheel, SECOND_NS, print)
    alarm.disarm(wheel)
    alarm.disarm(wheel)
    assert (alarm.deadline_ns, wheel.armed) == (0, 0)


def test_arming_on_another_wheel_leaves_the_first() -> None:
    first, second = Wheel(START_NS), Wheel(START_NS)
    alarm = make_alarm(first, SECOND_NS, print)
    alarm.arm(second, START_NS + SECOND_NS)
    assert (first.armed, second.armed) == (0, 1)


def test_a_clock_that_goes_back_is_ignored() -> None:
    wheel = Wheel(START_NS)
    wheel.advance(START_NS - SECOND_NS)
    assert wheel.now_ns == START_NS


def test_a_freed_timer_leaves_the_wheel() -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    alarms = [make_alarm(wheel, SECOND_NS, fired.append) for _ in range(3)]
    del alarms[1]
    assert wheel.armed == 2
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert len(fired) == 2


def test_a_timer_outlives_its_wheel_disarmed() -> None:
    wheel = Wheel(START_NS)
    alarm = make_alarm(wheel, SECOND_NS, print)
    del wheel
    assert alarm.deadline_ns == 0
    other = Wheel(START_NS)
    alarm.arm(other, START_NS + SECOND_NS)
    assert other.armed == 1


def test_a_timer_in_a_cycle_is_collected_and_leaves_the_wheel() -> None:
    wheel = Wheel(START_NS)

    class Holder:
        def __init__(self) -> None:
            self.alarm = make_alarm(wheel, SECOND_NS, self.on_alarm)

        def on_alarm(self, now_ns: int) -> None:
            raise AssertionError(now_ns)

    gone = weakref.ref(Holder())
    gc.collect()
    assert gone() is None
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (wheel.armed, wheel.errors) == (0, 0)


def test_a_callback_may_arm_itself_again() -> None:
    wheel, fired = Wheel(START_NS), list[int]()

    def again(now_ns: int) -> None:
        fired.append(now_ns)
        alarm.arm(wheel, now_ns)

    alarm = make_alarm(wheel, SECOND_NS, again)
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (len(fired), wheel.armed) == (1, 1)
    wheel.advance(START_NS + 2 * SECOND_NS + TICK_NS)
    assert len(fired) == 2


def test_a_callback_may_disarm_and_free_timers_due_in_the_same_tick() -> None:
    wheel, fired = Wheel(START_NS), list[str]()
    others: list[Alarm] = []

    def first(now_ns: int) -> None:
        fired.append("first")
        others[0].disarm(wheel)
        others.clear()

    keep = make_alarm(wheel, SECOND_NS, first)
    others += [make_alarm(wheel, SECOND_NS, lambda _: fired.append("other")) for _ in range(2)]
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (fired, wheel.armed, keep.deadline_ns) == (["first"], 0, 0)


def test_a_callback_may_free_its_own_timer() -> None:
    wheel, alarms = Wheel(START_NS), list[Alarm]()
    alarms.append(make_alarm(wheel, SECOND_NS, lambda _: alarms.clear()))
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (alarms, wheel.armed, wheel.errors) == ([], 0, 0)


def test_a_callback_may_drop_the_wheel() -> None:
    wheels = [Wheel(START_NS)]
    alarms = [make_alarm(wheels[0], SECOND_NS, lambda _: wheels.clear()) for _ in range(3)]
    wheels[0].advance(START_NS + 2 * SECOND_NS)
    assert wheels == []
    assert [alarm.deadline_ns for alarm in alarms] == [0, 0, 0]


def test_advancing_inside_a_callback_does_nothing() -> None:
    wheel, fired = Wheel(START_NS), list[int]()
    inner = make_alarm(wheel, 2 * SECOND_NS, fired.append)
    outer = make_alarm(wheel, SECOND_NS, lambda now: wheel.advance(now + HOUR_NS))
    wheel.advance(START_NS + SECOND_NS + TICK_NS)
    assert (fired, wheel.armed, outer.deadline_ns) == ([], 1, 0)
    assert inner.deadline_ns == START_NS + 2 * SECOND_NS


def test_a_callback_that_raises_is_counted_and_stops_no_other(unraisable: list[Any]) -> None:
    wheel, fired = Wheel(START_NS), list[int]()

    def broken(now_ns: int) -> None:
        raise ValueError(now_ns)

    alarms = [make_alarm(wheel, SECOND_NS, callback) for callback in (broken, fired.append, broken)]
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (len(fired), wheel.errors, wheel.armed) == (1, 2, 0)
    assert [type(error) for error in unraisable] == [ValueError] * 2
    assert all(alarm.deadline_ns == 0 for alarm in alarms)


def test_a_callback_that_asks_to_exit_is_an_error_like_any_other(unraisable: list[Any]) -> None:
    wheel = Wheel(START_NS)
    alarm = make_alarm(wheel, SECOND_NS, sys.exit)
    wheel.advance(START_NS + 2 * SECOND_NS)
    assert (wheel.errors, len(unraisable), alarm.deadline_ns) == (1, 1, 0)


def test_an_alarm_without_a_wheel_is_refused() -> None:
    alarm = Alarm(print)
    with pytest.raises(TypeError):
        alarm.arm(None, 1)  # type: ignore[arg-type]
    assert isinstance(alarm, Timed)


# Every order of magnitude from a nanosecond to a fortnight.
spans = st.integers(0, 50).flatmap(lambda bits: st.integers(0, 2**bits))
names = st.sampled_from("abcdefghij")


class WheelMachine(RuleBasedStateMachine):
    """Any order of arming, disarming, freeing and advancing, against the sorted list."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel = Wheel(START_NS)
        self.reference = SortedTimers()
        self.alarms: dict[str, Alarm] = {}
        self.fired: list[str] = []

    @rule(name=names, span=spans, past=st.booleans())
    def arm(self, name: str, span: int, past: bool) -> None:
        deadline_ns = self.wheel.now_ns + (-min(span, START_NS - 1) if past else span)
        alarm = self.alarms.setdefault(name, Alarm(lambda _: self.fired.append(name)))
        alarm.arm(self.wheel, deadline_ns)
        # What is due already waits for the next tick.
        next_tick_ns = (self.wheel.now_ns // TICK_NS + 1) * TICK_NS
        self.reference.arm(name, max(deadline_ns, next_tick_ns - TICK_NS + 1))

    @rule(name=names)
    def disarm(self, name: str) -> None:
        if name in self.alarms:
            self.alarms[name].disarm(self.wheel)
        self.reference.disarm(name)

    @rule(name=names)
    def free(self, name: str) -> None:
        self.alarms.pop(name, None)
        self.reference.disarm(name)

    @rule(span=spans)
    def advance(self, span: int) -> None:
        now_ns = self.wheel.now_ns + span
        expected = self.reference.advance(now_ns)
        self.wheel.advance(now_ns)
        assert sorted(self.fired) == sorted(expected)
        self.fired.clear()

    @invariant()
    def the_same_timers_wait(self) -> None:
        waiting = {name for name, alarm in self.alarms.items() if alarm.deadline_ns}
        assert waiting == set(self.reference.deadlines)
        assert self.wheel.armed == len(waiting)


WheelMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWheel = WheelMachine.TestCase
