"""How well drift is found: a slice of the campaign, and what the page says of the whole one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.drift.detection import campaign, digits, findings, sensors, streams, tables, watch
from bench.drift.detection.digits import Floats, Labels
from bench.drift.detection.findings import Results, Share, Watch
from bench.drift.detection.streams import CHANGE, END, WARM, Concept, Stream

KEPT = sorted(findings.FOLDER.glob("2*.json"))


def pictures(count: int = 1797) -> tuple[Floats, Labels]:
    """Ten blots in place of ten digits: scikit-learn, which has those, is no dependency."""
    rng = np.random.default_rng(20_261_121)
    middles = rng.uniform(1.5, 5.5, (digits.CLASSES, 2, 2))
    labels = rng.integers(0, digits.CLASSES, count)
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    at = middles[labels] + rng.normal(0, 0.3, (count, 2, 2))
    apart = (y - at[..., 0, None, None]) ** 2 + (x - at[..., 1, None, None]) ** 2
    images = np.rint(16 * np.exp(-apart / 2).max(axis=1)).reshape(count, digits.PIXELS)
    return images, labels


@pytest.fixture(name="found", scope="module")
def _found() -> Results:
    cells, _ = campaign.of_digits(*pictures(), [1])
    return results(digits=campaign.added([cells]), seeds=1)


def results(**parts: object) -> Results:
    made: dict[str, object] = {
        "date": "2026-11-21T20:00:00Z",
        "commit": "0123456789",
        "modified": False,
        "seeds": 200,
        "seconds": 1.0,
        "versions": {"numpy": "2.4"},
        "digits": (),
        "streams": (),
    }
    return Results(**(made | parts))  # type: ignore[arg-type]


def told_of(stream: Stream, seeds: int) -> Watch:
    return campaign.of_stream(stream.name, stream.watched, campaign.runs_of(stream, seeds))


def test_a_model_of_pictures_knows_them() -> None:
    images, labels = pictures()
    split = digits.split(np.random.default_rng(1), images, labels)
    said = split.model.probabilities(split.pool).argmax(axis=1)
    assert (said == split.labels).mean() > 0.8


def test_a_tenth_of_a_step_against_the_answer_makes_it_less_likely() -> None:
    split = digits.split(np.random.default_rng(2), *pictures())
    at = np.arange(len(split.pool)), split.labels
    before = split.model.probabilities(split.pool)[at]
    changed = split.pool + 0.1 * split.model.against(split.pool, split.labels)
    assert (split.model.probabilities(changed)[at] <= before + 1e-9).mean() > 0.95


def test_shifts_change_their_share_of_the_pictures() -> None:
    """All of them have noise of one level; no more is changed than should be."""
    rng = np.random.default_rng(3)
    split = digits.split(rng, *pictures())
    known = {one.astype(np.int8).tobytes() for one in split.pool}
    seen = {(one.shift, one.share): one.images for one in digits.samples(rng, split)}
    assert len(seen) == 1 + len(digits.SHIFTS) * len(digits.SHARES)
    for (shift, share), images in seen.items():
        assert images.shape == (digits.LARGEST, digits.PIXELS)
        old = np.mean([np.rint(one).astype(np.int8).tobytes() in known for one in images])
        if shift in {digits.NONE, digits.KNOCK_OUT}:
            assert old > 0.99
        elif shift == "large Gaussian noise":
            assert old == pytest.approx(1 - share, abs=0.08)


def test_the_critical_statistic_is_where_scipys_p_value_is() -> None:
    rng = np.random.default_rng(4)
    reference = rng.normal(size=(600, 8))
    columns, critical = sensors.Columns(reference), sensors.Critical()
    for _ in range(6):
        sample = rng.normal(0.15, 1, size=(500, 8))
        for size, gaps in columns.gaps(sample):
            first = sample[:size]
            p = [columns.p_value(at, first[:, at]) for at in range(8)]
            assert (critical.beyond(columns, first, gaps, 0.05) == (np.array(p) <= 0.05)).all()


def test_shifts_are_found_and_their_absence_is_not(found: Results) -> None:
    """One seed: what is plain must be found by then, of a few hundred pictures."""
    assert tables.told(found, sensors.ALL, 500, lambda one: one.shift == digits.NONE).found <= 1
    for shift in ("large Gaussian noise", "large image", digits.ONLY_ZERO):
        some = [one for one in found.digits if (one.shift, one.share) == (shift, 1.0)]
        whole = results(digits=tuple(some))
        assert tables.told(whole, sensors.ALL, 200).rate == 1.0, shift
    assert tables.digits_rank(found, 500, tables.of_shifts)[2] != "behind"


def test_every_method_is_asked_of_every_sample(found: Results) -> None:
    methods = {one.method for one in found.digits}
    assert len(found.digits) == len(methods) * len(sensors.SIZES) * 31
    assert all(one.told.runs == 1 for one in found.digits)
    page = "\n".join(map(str, tables.tables(found)))
    assert all(method in page for method in methods)


@pytest.mark.parametrize("name", streams.NORMAL)
def test_changes_of_normal_numbers_are_found_and_not_before(name: str) -> None:
    stream = next(one for one in streams.all_of(concepts()) if one.name == name)
    told = told_of(stream, 3)
    assert told.told.found == 3
    assert told.false.found <= 1


def test_errors_that_rise_are_found() -> None:
    known = {one.name: one for one in streams.all_of(concepts())}
    once = told_of(known["SEA, at once"], 3)
    slowly = told_of(known["SEA, gradually"], 3)
    assert once.told.found == slowly.told.found == 3
    assert once.median is not None
    assert slowly.median is not None
    assert once.median < slowly.median


def concepts() -> dict[str, Concept]:
    """Errors of 10 %, then of 30 %, in place of those of river's generators."""
    rng = np.random.default_rng(3)
    before, after = (rng.random((5000, 1)) < share for share in (0.1, 0.3))
    concept = Concept(before.astype(np.float64), after.astype(np.float64))
    return dict.fromkeys((*streams.ERRORS, "RandomRBF", "LED"), concept)


def test_errors_are_those_of_a_model_of_the_concept_before() -> None:
    rng = np.random.default_rng(5)
    rows = {at: rng.normal(size=(20_000, 2)) for at in ("before", "after")}
    sums = {"before": rows["before"].sum(axis=1), "after": rows["after"][:, 0]}
    file = {f"{at}.x": rows[at] for at in rows}
    file |= {f"{at}.y": np.asarray(one > 0, np.float64) for at, one in sums.items()}
    found = streams.errors(file, is_number=False)
    assert found.before.mean() < 0.02
    assert found.after.mean() == pytest.approx(0.25, abs=0.02)  # an eighth of the circle, twice


def test_a_stream_changes_where_it_says() -> None:
    def ones(rng: np.random.Generator) -> Floats:
        values = rng.normal(size=(END, 1))
        values[CHANGE:] += 3.0
        return values

    stream = Stream("three", "a number", ones)
    told = told_of(stream, 2)
    assert told.median == watch.STEP
    assert told.false.found == 0
    assert WARM + max(watch.WINDOWS) < CHANGE  # the longest is full before the change


def test_peers_are_taken_from_a_kept_run() -> None:
    theirs = Watch(
        stream="s",
        watched="",
        system="ADWIN",
        is_ours=False,
        false=Share(0, 200),
        told=Share(200, 200),
        median=1.0,
        p90=2.0,
    )
    ours = msgspec.structs.replace(theirs, system="gateway", is_ours=True)
    kept = results(streams=(ours, theirs), versions={"numpy": "1", "river": "2"})
    others = campaign.others_of(Path("none"), campaign.Pairs(), kept, [])
    assert others == ((theirs,), {"river": "2"}, (), {})
    with pytest.raises(ValueError, match="of 200 seeds, not of 3"):
        campaign.results_of(3, 1, kept)


def test_wilsons_interval_is_scipys() -> None:
    from scipy import stats  # noqa: PLC0415 - only here

    for found, runs in ((0, 200), (7, 200), (200, 200), (1, 3)):
        wanted = stats.binomtest(found, runs).proportion_ci(method="wilson")
        assert Share(found, runs).interval == pytest.approx((wanted.low, wanted.high))


def test_ranks_are_by_intervals() -> None:
    ours = Share(150, 200)
    assert ours.ranked([Share(100, 200)]) == "first"
    assert ours.ranked([Share(145, 200), Share(3, 200)]) == "level"
    assert ours.ranked([Share(190, 200)]) == "behind"
    assert Share(0, 600).ranked([Share(36, 600)]) == "level"  # as often as chance alone


def test_a_detector_that_alarms_always_is_not_compared_with() -> None:
    def one(system: str, false: int, median: float, *, is_ours: bool = False) -> Watch:
        return Watch(
            stream="s",
            watched="w",
            system=system,
            is_ours=is_ours,
            false=Share(false, 200),
            told=Share(200, 200),
            median=median,
            p90=median,
        )

    ours = one("gateway", 5, 100.0, is_ours=True)
    assert tables.stream_rank(ours, [one("KSWIN", 200, 1.0), one("ADWIN", 2, 120.0)]) == "level"
    assert tables.stream_rank(ours, [one("ADWIN", 2, 20.0)]) == "behind"
    assert tables.stream_rank(ours, [one("ADWIN", 2, 300.0)]) == "first"


def test_the_page_is_as_drawn() -> None:
    assert tables.PAGE.text() == tables.PAGE.drawn()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_of_a_kept_run_no_row_is_behind_and_all_shifts_are_first(path: Path) -> None:
    kept = findings.load(path)
    assert kept.seeds == 200
    assert all(
        tables.digits_rank(kept, size, tables.of_shifts)[2] == "first" for size in sensors.SIZES
    )
    drawn = "\n".join(map(str, tables.tables(kept)))
    assert drawn.count(tables.SIGNS["behind"]) <= tables.MOST_BEHIND
