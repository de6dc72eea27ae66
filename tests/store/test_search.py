"""Filters, order, limits and notes of a search; stats and exports of the same."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from gateway.messages import AttemptRecord, Timing, TokenUsage
from gateway.store.columns import LATER
from gateway.store.database import StoreError
from gateway.store.filters import NAMED, Filter
from gateway.store.moments import from_us, moment_us
from gateway.store.stats import Group
from tests.store.places import NOW_S, Place, at, feedback, id_of, joined, record

NOW_US = int(NOW_S * 1e6)
ODD = "x' OR 1=1 --"
LINES = {
    1: record(1, route="chat", backend="mini", user="ada", cost_usd=0.5, version="2"),
    2: record(2, route="chat", backend="large", user="bob", outcome="upstream_5xx", status=502),
    3: record(3, route="search", backend="mini", user="", kind="refusal", status=429),
    4: record(4, route="chat", backend="mini", user=ODD, model="m", plan="q", protocol="openai"),
    5: record(5, route="chat", backend="mini", user="Ünal", timing=Timing(total_us=9_000_000)),
}


@pytest.fixture(params=["stored", "live", "both"])
def full(place: Place, request: pytest.FixtureRequest) -> Place:
    """LINES in volumes, in a segment that is written, or in some of each."""
    lines = list(LINES.values())
    if request.param == "stored":
        place.added(1, lines[:2])
        place.added(2, lines[2:])
    elif request.param == "live":
        place.write(1, lines)
    else:
        place.added(1, lines[:3])
        place.write(2, lines[3:])
    return place


def numbers(place: Place, **wanted: Any) -> list[int]:
    found = place.store.search(msgspec.convert(wanted, Filter))
    return [msgspec.json.decode(match.line)["seq"] for match in found.matches]


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"route": ["chat"], "backend": ["mini"], "outcome": ["ok"]}, [5, 4, 1]),
        ({"backend": ["large", "mini"], "route": ["search"]}, [3]),
        ({"user": ["ada", "bob"]}, [2, 1]),
        ({"user": [""]}, [3]),
        ({"user": [ODD]}, [4]),
        ({"user": ["Ünal"]}, [5]),
        ({"kind": ["refusal"]}, [3]),
        ({"version": ["2"]}, [1]),
        ({"model": ["m"], "plan": ["q"], "protocol": ["openai"]}, [4]),
        ({"status": ["5xx", "429"]}, [3, 2]),
        ({"status": ["200"]}, [5, 4, 1]),
        ({"min_cost_usd": 0.5}, [1]),
        ({"min_latency_us": 4000}, [5, 4]),
        ({"since_us": NOW_US + 2_000_000, "until_us": NOW_US + 4_000_000}, [3, 2]),
        ({"text": "upstream_5xx"}, [2]),
        ({"text": "Ünal"}, [5]),
        ({"text": "100%_"}, []),
        ({"route": [ODD]}, []),
    ],
    ids=repr,
)
def test_filter_finds_what_it_says_the_newest_first(
    full: Place, wanted: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(full, **wanted) == expected


@pytest.mark.parametrize("field", [*NAMED, "text", "feedback", "anomaly"])
def test_values_are_never_sql(place: Place, field: str) -> None:
    place.added(1, LINES.values())
    evil = """'"; DROP TABLE parsed; SELECT * FROM read_text('/etc/passwd'); --$w0 \\"""
    assert numbers(place, **{field: evil if field == "text" else [evil]}) == []
    assert numbers(place) == [5, 4, 3, 2, 1]


ANOMALIES = {
    1: ("input:FLOAT_TYPE_BIG_FLOAT:/instances/0/amount", "output:RULE_VIOLATED:/predictions/0"),
    2: ("input:RULE_VIOLATED:/instances/3",),
    3: (),
    4: ("input:BODY_NOT_JSON:",),
}


def without_later_columns(place: Place) -> None:
    """The files as they were at first."""
    later = ", ".join(f"'{name}'" for name in LATER["records"])
    for path in place.directory.glob("*/*.records.parquet"):
        with duckdb.connect() as connection:
            rows = f"SELECT COLUMNS(lambda c: c NOT IN ({later})) FROM read_parquet('{path}')"
            connection.execute(f"COPY ({rows}) TO '{path}.new' (FORMAT parquet)")
        path.with_suffix(".parquet.new").replace(path)


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize(
    "asked, expected",
    [
        (["any"], [4, 2, 1]),
        (["RULE_VIOLATED"], [2, 1]),
        (["output:RULE_VIOLATED"], [1]),
        (["input:RULE_VIOLATED", "BODY_NOT_JSON"], [4, 2]),
        (["input:RULE_VIOLATED:/instances/3"], [2]),
        (["input:BODY_NOT_JSON:"], [4]),
        (["input:RULE_VIOLATED:/instances"], []),
        (["RULE"], []),
        (["'; DROP TABLE parsed --"], []),
    ],
    ids=repr,
)
def test_anomalies_are_found_by_name_side_and_place(
    place: Place, asked: list[str], expected: list[int], *, is_live: bool
) -> None:
    lines = [record(number, anomalies=found) for number, found in ANOMALIES.items()]
    if is_live:
        place.write(1, lines)
    else:
        place.added(1, lines)
    assert numbers(place, anomaly=asked) == expected
    (group,) = place.store.stats(Filter(anomaly=("any",)), ["route"]).groups
    assert group.records == 3


def test_files_from_before_there_were_anomalies_are_read_exported_and_forgotten(
    place: Place, tmp_path: Path
) -> None:
    place.added(1, [record(1), record(2, user="bob")])
    without_later_columns(place)
    place.added(2, [record(3, anomalies=ANOMALIES[2])])
    assert numbers(place) == [3, 2, 1]
    assert numbers(place, anomaly=["any"]) == [3]
    assert place.store.export(Filter(), "csv", tmp_path / "all.csv").records == 3
    without_later_columns(place)
    assert numbers(place, anomaly=["any"]) == []
    assert place.store.export(Filter(), "parquet", tmp_path / "all.parquet").records == 3
    place.now_s += 60
    assert place.store.forget("bob").records == 1
    assert numbers(place) == [3, 1]


def test_quoted_text_is_found_as_it_stands_in_json(place: Place) -> None:
    place.added(1, [record(1, user='say "hi"\n'), record(2)])
    assert numbers(place, text='say "hi"\n') == [1]


def test_limit_takes_the_newest_and_says_that_there_are_more(place: Place) -> None:
    for number in range(1, 10):
        place.added(number, [record(number)])
    found = place.store.search(Filter(), limit=3)
    assert [match.line for match in found.matches] == [record(9), record(8), record(7)]
    assert found.has_more
    assert not place.store.search(Filter(), limit=9).has_more


def test_records_that_overlap_in_time_are_still_in_order(place: Place) -> None:
    place.added(1, [record(1, time=at(1)), record(2, time=at(90))])
    place.added(2, [record(3, time=at(2)), record(4, time=at(80))])
    place.added(3, [record(5, time=at(3)), record(6, time=at(4))])
    assert numbers(place) == [2, 4, 6, 5, 3, 1]
    assert [match.line for match in place.store.search(Filter(), limit=2).matches] == [
        record(2, time=at(90)),
        record(4, time=at(80)),
    ]


def test_status_that_means_nothing_is_refused(place: Place) -> None:
    with pytest.raises(StoreError, match="`9xx` is no status"):
        place.store.search(Filter(status=("9xx",)))


def test_time_that_ends_before_it_begins_is_refused(place: Place) -> None:
    with pytest.raises(StoreError, match="is not after"):
        place.store.search(Filter(since_us=2, until_us=1))


def signals(place: Place) -> None:
    """Records 1 and 3 have thumbs, 1 a late score too; one signal was sent twice."""
    again = feedback(6, id_of(1), id="twice")
    place.added(1, [record(1), record(2), record(3, request_id="mine"), again])
    place.added(2, [feedback(7, "mine", value=msgspec.Raw(b"false")), again, record(8)])
    score = msgspec.Raw(b'{"score":4,"of":5}')
    place.write(3, [feedback(9, id_of(1), signal="score", value=score, time=at(86_400 * 3))])


def test_search_by_feedback_finds_records_and_what_was_said(place: Place) -> None:
    signals(place)
    found = place.store.search(Filter(feedback=("thumbs",)))
    assert [match.line for match in found.matches] == [record(3, request_id="mine"), record(1)]
    assert [len(match.feedback) for match in found.matches] == [1, 2]
    assert numbers(place, feedback=["score"], until_us=NOW_US + 60_000_000) == [1]
    assert numbers(place, feedback=["any"]) == [3, 1]
    assert numbers(place, feedback=["ticket"]) == []


def groups(place: Place, *by: str, with_feedback: bool = False, **wanted: Any) -> list[Group]:
    filter_ = msgspec.convert(wanted, Filter)
    return list(place.store.stats(filter_, by, with_feedback=with_feedback).groups)


def test_stats_count_what_there_is(full: Place) -> None:
    first, second = groups(full, "route")
    assert (first.by, first.records, first.ok) == ({"route": "chat"}, 4, 3)
    assert first.outcomes == {"ok": 3, "upstream_5xx": 1}
    assert first.cost_usd == 0.5
    assert (second.by, second.records) == ({"route": "search"}, 1)
    assert second.total.p50_s == pytest.approx(0.003)
    assert second.first_byte.p50_s is None


def test_stats_follow_filters_and_groups(full: Place) -> None:
    (one,) = groups(full, "day", "user", user=["bob"])
    assert one.by == {"day": "2026-11-21", "user": "bob"}
    (all_,) = groups(full)
    assert (all_.by, all_.records) == ({}, 5)
    assert {group.by["user"]: group.records for group in groups(full, "user")}[""] == 1


def test_stats_add_tokens_retries_and_fallbacks_up(place: Place) -> None:
    attempt = AttemptRecord(backend="a", outcome="ok", begun_us=1, ended_us=2)
    place.added(
        1,
        [
            record(1, usage=TokenUsage(input_tokens=3, output_tokens=4), attempts=(attempt,) * 2),
            record(2, usage=TokenUsage(input_tokens=5), fallback="rule", attempts=(attempt,)),
        ],
    )
    (one,) = groups(place, "route")
    assert (one.input_tokens, one.output_tokens) == (8, 4)
    assert (one.retried, one.fallbacks) == (1, 1)


def test_stats_with_feedback_count_each_signal_once(place: Place) -> None:
    signals(place)
    (one,) = groups(place, "route", with_feedback=True)
    told = [(each.signal, each.count, each.records, each.mean) for each in one.feedback]
    assert told == [("score", 1, 1, 4.0), ("thumbs", 2, 2, 0.5)]


def test_copies_are_counted_where_they_can_be_told_apart(place: Place) -> None:
    lines = [record(1, request_id="mine"), feedback(2, "mine")]
    copy = record(3, request_id="mine", kind="shadow", backend="shadow:new")
    place.write(1, [*lines, copy])
    (one,) = groups(place, "route", with_feedback=True)
    assert one.records == 1
    by_backend = groups(place, "backend", with_feedback=True)
    assert {each.by["backend"]: len(each.feedback) for each in by_backend} == {
        "shadow:new": 0,
        msgspec.json.decode(lines[0])["backend"]: 1,
    }
    assert [each.records for each in groups(place, "route", kind=["shadow"])] == [1]


def test_a_request_is_found_before_its_copies(place: Place) -> None:
    place.write(1, [record(1, request_id="mine"), record(2, request_id="mine", kind="shadow")])
    found = [msgspec.json.decode(line)["seq"] for line in place.store.find_all("mine")]
    assert found == [1, 2]


def test_stats_by_something_else_are_refused(place: Place) -> None:
    with pytest.raises(StoreError, match="cannot be grouped by `line`"):
        place.store.stats(Filter(), ["line"])


def test_export_has_the_lines_exactly(full: Place, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    assert full.store.export(Filter(route=("chat",)), "ndjson", path).records == 4
    assert sorted(path.read_bytes().splitlines()) == sorted(
        line for number, line in LINES.items() if number != 3
    )
    assert path.stat().st_mode & 0o077 == 0


def test_export_as_csv_and_parquet_can_be_read_by_others(full: Place, tmp_path: Path) -> None:
    full.store.export(Filter(user=(ODD,)), "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["user"], row["seq"], row["total_us"]) == (ODD, "4", "4000")
    path = tmp_path / "out.parquet"
    full.store.export(Filter(), "parquet", path)
    with duckdb.connect() as connection:
        lines = connection.execute("SELECT line FROM read_parquet($1)", [str(path)]).fetchall()
    assert sorted(line.encode() for (line,) in lines) == sorted(LINES.values())


def test_export_that_cannot_be_written_leaves_nothing(full: Place, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*no such file"):
        full.store.export(Filter(), "csv", tmp_path / "nowhere/out.csv")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2h", NOW_US - 7_200_000_000),
        ("2 hours ago", NOW_US - 7_200_000_000),
        ("1.5d", NOW_US - 129_600_000_000),
        ("now", NOW_US),
        ("today", NOW_US - 43_200_000_000),
        ("yesterday", NOW_US - 129_600_000_000),
        ("2026-11-21", NOW_US - 43_200_000_000),
        ("2026-11-21T12:00", NOW_US),
        ("2026-11-21T12:00:00.000001Z", NOW_US + 1),
        ("2026-11-21T14:00:00+02:00", NOW_US),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert moment_us(text, NOW_S) == expected


@pytest.mark.parametrize("text", ["", "soon", "2h30", "2026-13-01", "-1d", "9999999999999w"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="is no time"):
        moment_us(text, NOW_S)


def test_moment_is_written_as_it_is_read() -> None:
    assert moment_us(from_us(NOW_US), 0) == NOW_US


def test_lines_of_the_samples_are_as_they_should_be() -> None:
    assert joined([record(1)]).count(b"\n") == 1
