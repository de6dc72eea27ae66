"""What is too old or too much goes, but for what is held or waits for another sink."""

from __future__ import annotations

from typing import Any

from gateway.log.manifest import Manifest, Removed
from gateway.log.verify import verify
from gateway.store.filters import Filter
from gateway.store.orders import Hold
from tests.store.places import DAY_S, NOW_S, Place, feedback, id_of, record

HUGE = 1 << 40


def lines(place: Place) -> list[bytes]:
    return [match.line for match in place.store.search(Filter()).matches]


def three_days(place: Place) -> list[str]:
    place.now_s = NOW_S + 3 * DAY_S
    return [place.added(day + 1, [record(day * DAY_S + 1)]) for day in range(3)]


def hold(**more: Any) -> Hold:
    return Hold(**{"id": "h1", "at_us": 0, "reason": "a case", **more})


def test_what_is_older_than_it_may_be_goes(place: Place) -> None:
    first, *_ = three_days(place)
    done = place.store.expire(2, HUGE)
    assert (done.volumes, done.records, done.held, done.waiting) == (1, 1, 0, 0)
    assert lines(place) == [record(2 * DAY_S + 1), record(DAY_S + 1)]
    assert place.store.lines_of(first) is None
    assert len(list(place.directory.glob("2026-*"))) == 2
    assert verify(place.log, place.store).is_good
    assert place.store.expire(2, HUGE).volumes == 0


def test_manifest_says_what_retention_took(place: Place) -> None:
    first, *_ = three_days(place)
    place.store.expire(2, HUGE)
    last = list(Manifest(place.log).entries())[-1]
    assert isinstance(last, Removed)
    assert (last.segment, last.records, last.reason) == (first, 1, "retention")


def test_the_oldest_of_what_is_too_much_goes(place: Place) -> None:
    three_days(place)
    size = sum(each.bytes for each in place.store.volumes())
    done = place.store.expire(365, size - 1)
    assert done.volumes == 1
    assert done.bytes <= size - 1
    assert lines(place) == [record(2 * DAY_S + 1), record(DAY_S + 1)]


def test_everything_may_go(place: Place) -> None:
    three_days(place)
    assert place.store.expire(365, 0).volumes == 3
    assert lines(place) == []
    assert verify(place.log, place.store).is_good


def test_segment_that_waits_for_another_sink_keeps_its_volume(place: Place) -> None:
    path = place.sealed(1, [record(1)])
    place.store.add(path)
    place.now_s += 40 * DAY_S
    assert place.store.expire(30, HUGE).waiting == 1
    assert path.exists()
    place.deliver(path.name)
    assert place.store.expire(30, HUGE).volumes == 1


def test_of_a_held_volume_only_what_is_held_stays(place: Place) -> None:
    kept = record(1, user="eve", request_id="hers")
    segment = place.added(1, [kept, record(2), feedback(3, "hers"), feedback(4, id_of(2))])
    late = place.added(2, [feedback(5, "hers"), feedback(6, id_of(2))])
    other = place.added(3, [record(7)])
    place.store.add_hold(hold(user="eve"))
    place.now_s += 40 * DAY_S
    done = place.store.expire(30, HUGE)
    assert (done.volumes, done.held) == (1, 2)
    assert lines(place) == [kept]
    assert place.store.feedback_of("hers") == [feedback(3, "hers"), feedback(5, "hers")]
    assert place.store.feedback_of(id_of(2)) == []
    assert place.store.lines_of(other) is None
    assert verify(place.log, place.store).is_good
    numbers = [each.number for each in place.store.volumes()]
    assert place.store.expire(30, HUGE).held == 2
    assert [each.number for each in place.store.volumes()] == numbers  # nothing is written anew
    place.store.remove_hold("h1")
    assert place.store.expire(30, HUGE).volumes == 2
    assert place.store.lines_of(segment) is None
    assert place.store.lines_of(late) is None
    assert verify(place.log, place.store).is_good


def test_hold_on_another_time_keeps_nothing(place: Place) -> None:
    place.added(1, [record(1)])
    place.store.add_hold(hold(until_us=int(NOW_S * 1e6)))
    place.now_s += 40 * DAY_S
    assert place.store.expire(30, HUGE).volumes == 1
