"""What is learned of the first traffic of a route, and when that is enough."""

from __future__ import annotations

from pathlib import Path

from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.watch.basis import BasisFiles, bases_of, learned_name
from gateway.watch.learner import LEAST_LINES, Learner
from tests.profiles.samples import MINUTE, line, normal


def test_fields_are_learned_of_the_first_traffic(tmp_path: Path) -> None:
    drift = Drift(
        references={"week": DriftReference(kind="last_week")},
        rules={"weekly": DriftRule(reference="week")},
    )
    shelf = BasisFiles(tmp_path)
    assert bases_of(drift, ["iris"], shelf).learning == ("iris",)
    learner = Learner("iris")
    few = [line({"x": float(value)}) for value in normal(LEAST_LINES)]
    strange = [line({"y": 1.0}, route="fraud"), b"{", line({"y": 1.0}, kind="shadow")]
    assert learner.add(b"\n".join([*few, *strange, b""]), MINUTE) is None
    made = learner.add(b"", MINUTE + 10)
    assert made is not None
    assert made.rows == LEAST_LINES
    assert "x" in made.names
    assert "y" not in made.names
    shelf.put(learned_name("iris"), made.encode())
    bases = bases_of(drift, ["iris"], shelf)
    assert bases.of_rule["weekly", "iris"].name == made.hash
    assert not bases.learning


def test_learning_ends_with_enough_lines_and_not_before_a_few_have_come() -> None:
    learner = Learner("iris")
    row = line({"x": 1.0}) + b"\n"
    assert learner.add(row, MINUTE) is None
    assert learner.add(b"", MINUTE + 1000) is None
    made = learner.add(row * 20_000, MINUTE + 1000)
    assert made is not None
    assert made.rows == 10_000
