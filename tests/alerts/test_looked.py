"""The latest look of each rule on each route."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.alerts.looked import MOST_NAMED, Looked
from tests.alerts.alerts import START_MS, finding, look


def test_latest_look_is_told_and_all_are_counted() -> None:
    looked = Looked()
    for minute, found in ((0, ()), (2, (finding(), finding("sentinel"), finding(field="age")))):
        looked.take(look(minute, *found, rule="watch"))
    looked.take(look(1, rule="watch"))  # late: no news
    looked.take(look(5, rule="other"))
    other, watch = looked.figures(["watch", "other"], ["scores"])
    assert (watch.looks, watch.found, watch.findings) == (3, 1, 3)
    assert watch.named == ("amount", "age")
    assert watch.at_ms == START_MS + 120_000
    assert (other.rule, other.looks, other.findings) == ("other", 1, 0)


def test_what_is_gone_from_the_configuration_is_forgotten() -> None:
    looked = Looked()
    looked.take(look(0, rule="watch"))
    looked.take(look(0, rule=""))
    assert [one.rule for one in looked.figures([], ["scores"])] == [""]
    assert looked.figures(["watch"], ["chat"]) == ()
    assert looked.figures(["watch"], ["scores"]) == ()


def test_names_are_few() -> None:
    looked = Looked()
    many = tuple(finding(field=f"f{number}") for number in range(50))
    looked.take(replace(look(0, *many), rule="watch"))
    (one,) = looked.figures(["watch"], ["scores"])
    assert one.findings == 50
    assert len(one.named) == MOST_NAMED
