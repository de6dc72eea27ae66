"""False alarms are as rare as they are said to be: a slice of `python -m bench.drift --tables`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.drift import nulls
from bench.drift.detection import findings, tables
from bench.drift.nulls import Attack, Moment, Nulls
from gateway.drift.alarms import alpha_of


@pytest.mark.parametrize("size", [10, 50, 500])
def test_a_look_at_twenty_features_is_wrong_in_one_of_twenty_at_most(size: int) -> None:
    assert nulls.looks(20, size, 120, 0.05).is_at_level


def test_false_alarms_of_a_month_are_rare() -> None:
    """720 looks would have one; 150 have two with a chance of 2 %."""
    assert nulls.looks(20, 200, 150, alpha_of(nulls.HOUR_S)).found <= 2


def test_kolmogorovs_size_on_bins_is_that_on_values() -> None:
    told = dict(nulls.kolmogorov(20_000, 40))
    assert all(one.is_at_level for one in told.values())


def test_psi_has_the_moments_of_its_formula() -> None:
    for one in nulls.moments(400):
        assert one.mean == pytest.approx(one.formula, rel=0.12), one
        assert one.significant.interval[0] <= 0.05
        if one.size == 100:
            assert one.large.rate > 0.2  # what folklore calls drift


def test_an_outlier_moves_psi_by_less_than_a_hundredth() -> None:
    plain, one, ten = (each.psi for each in nulls.attacks())
    assert abs(one / plain - 1) < 0.01
    assert abs(ten / plain - 1) < 0.03


def test_a_run_without_peers_says_so_and_is_read_back(tmp_path: Path) -> None:
    def absent(_: int) -> tuple[list[nulls.Null], list[Attack], dict[str, str], list[str]]:
        return [], [], {}, ["evidently is not installed"]

    found = Nulls(
        date="2026-11-21T20:00:00Z",
        commit="0123456789",
        modified=False,
        seconds=1.0,
        versions={},
        rates=(
            nulls.Null(
                table="t", system="gateway", size=10, level=0.05, told=findings.Share(30, 100)
            ),
        ),
        moments=(
            Moment(
                bins=10,
                size=100,
                mean=0.1,
                formula=0.1,
                large=findings.Share(1, 2),
                significant=findings.Share(0, 2),
            ),
        ),
        attacks=tuple(nulls.attacks()),
        absent=tuple(absent(1)[3]),
    )
    assert found.broken == ["t: gateway at 10: 0.300, promised 0.05"]
    assert nulls.load(nulls.save(found, tmp_path)) == found
    assert len(tables.null_tables(found)) == 3


def test_peers_are_taken_from_a_kept_run() -> None:
    kept = nulls.load(max(findings.FOLDER.glob("nulls-*.json")))
    theirs, hit, versions, absent = nulls.kept_peers(kept)
    assert {one.system for one in theirs}.isdisjoint({"gateway: 20 features", "scipy"})
    assert {one.system.split(":")[0] for one in theirs} == {"Evidently", "NannyML", "whylogs"}
    assert {one.system for one in hit} == {"Evidently"}
    assert set(versions) == set(nulls.PEERS)
    assert not absent


@pytest.mark.parametrize("path", sorted(findings.FOLDER.glob("nulls-*.json")), ids=str)
def test_a_kept_run_kept_its_promises(path: Path) -> None:
    found = nulls.load(path)
    assert not found.broken
    theirs = {(one.system, one.size): one.told.rate for one in found.rates if not one.is_ours}
    assert theirs["Evidently: PSI ≥ 0.1", 50] > 0.9
