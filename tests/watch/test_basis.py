"""Which fields a route is counted on, wherever it is asked, and what is kept of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.profiles.reference import decode, from_arrays
from gateway.watch.basis import (
    BasisDocuments,
    BasisFiles,
    Want,
    bases_of,
    learned_name,
    wants,
)
from tests.profiles.samples import line, normal


def drift_of(**rules: DriftRule) -> Drift:
    references = {
        "train": DriftReference(kind="training", file="train.csv"),
        "march": DriftReference(
            kind="pinned", since="2026-03-01T00:00:00Z", until="2026-03-02T00:00:00Z"
        ),
        "week": DriftReference(kind="last_week"),
        "champion": DriftReference(kind="champion"),
    }
    return Drift(references=references, rules=rules)


def trained(tmp_path: Path, name: str = "train.csv") -> Drift:
    (tmp_path / name).write_text("amount,kind\n" + "1.5,card\n2.5,cash\n" * 60)
    reference = DriftReference(kind="training", file=str(tmp_path / name))
    return Drift(references={"train": reference}, rules={"inputs": DriftRule(reference="train")})


def test_traffic_is_compared_on_the_first_fixed_fields_of_its_route() -> None:
    drift = drift_of(
        weekly=DriftRule(reference="week"),
        b=DriftRule(reference="march", routes=("iris",)),
        a=DriftRule(reference="train", routes=("iris",)),
    )
    assert wants(drift, ["iris", "chat"]) == {
        ("a", "iris"): Want("training", "train", "iris"),
        ("b", "iris"): Want("pinned", "march", "iris"),
        ("weekly", "iris"): Want("training", "train", "iris"),
        ("weekly", "chat"): Want("learned", "", "chat"),
    }


@pytest.mark.parametrize(
    "rule", [DriftRule(), DriftRule(reference="week", test="adwin")], ids=["none", "labels"]
)
def test_rules_that_look_at_no_profiles_need_no_basis(rule: DriftRule) -> None:
    assert not wants(drift_of(one=rule), ["iris"])


def test_what_is_disabled_is_not_counted() -> None:
    drift = Drift(enabled=False, references={}, rules={"a": DriftRule(reference="week")})
    assert not wants(drift, ["iris"])


def test_training_file_is_read_once_and_serves_all_routes(tmp_path: Path) -> None:
    shelf, drift = BasisFiles(tmp_path / "bases"), trained(tmp_path)
    bases = bases_of(drift, ["iris", "fraud"], shelf)
    assert [one.route for one in bases.all] == ["fraud", "iris"]
    assert len({one.name for one in bases.all}) == 1
    kept = list((tmp_path / "bases").iterdir())
    assert len(kept) == 1
    kept[0].write_bytes(from_arrays({"other": normal(100)}).encode())
    assert bases_of(drift, ["iris"], shelf).all[0].reference.names == ("other",)


def test_training_file_that_changed_is_another_basis(tmp_path: Path) -> None:
    shelf, drift = BasisFiles(tmp_path / "bases"), trained(tmp_path)
    before = bases_of(drift, ["iris"], shelf).all[0].name
    with (tmp_path / "train.csv").open("a") as file:
        file.write("9.5,cheque\n")
    assert bases_of(drift, ["iris"], shelf).all[0].name != before


def test_reference_that_is_missing_is_a_sentence_and_the_others_are_had(tmp_path: Path) -> None:
    drift = trained(tmp_path)
    drift.references["lost"] = DriftReference(kind="training", file=str(tmp_path / "lost.csv"))
    drift.rules["other"] = DriftRule(reference="lost")
    bases = bases_of(drift, ["iris"], BasisFiles(tmp_path / "bases"))
    assert list(bases.of_rule) == [("inputs", "iris")]
    assert bases.problems == (
        f"drift.references.lost: {tmp_path}/lost.csv cannot be read: no such file or directory",
    )


def test_pinned_stretch_is_made_once(tmp_path: Path) -> None:
    asked: list[tuple[str, datetime, datetime]] = []

    def recorded(route: str, since: datetime, until: datetime) -> list[bytes]:
        asked.append((route, since, until))
        return [line({"x": float(value)}) for value in normal(100)]

    drift, shelf = drift_of(inputs=DriftRule(reference="march")), BasisFiles(tmp_path)
    first = bases_of(drift, ["iris"], shelf, recorded=recorded)
    again = bases_of(drift, ["iris"], shelf)
    assert asked == [("iris", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))]
    assert first.all[0].name == again.all[0].name
    assert "x" in again.all[0].reference.names


def test_stretch_is_pinned_elsewhere_where_there_is_no_store(tmp_path: Path) -> None:
    drift, learned = drift_of(inputs=DriftRule(reference="march")), BasisDocuments()
    awaited = bases_of(drift, ["iris"], BasisFiles(tmp_path), learned=learned)
    (pin,) = awaited.pinning
    assert (pin.route, pin.until) == ("iris", datetime(2026, 3, 2, tzinfo=UTC))
    assert awaited.problems == (
        "drift.references.march: the traffic of iris until 2026-03-02T00:00:00Z is made a"
        " reference by the member that leads",
    )
    assert not awaited.learning
    lines = [line({"x": float(value)}) for value in normal(100)]
    learned.put(pin.name, pin.reference_of(lines, drift.consumer).encode())
    made = bases_of(drift, ["iris"], BasisFiles(tmp_path), learned=learned)
    assert not made.pinning
    assert made.of_rule["inputs", "iris"].origin == "pinned"
    # As a gateway with a store makes it of the same lines.
    other = bases_of(drift, ["iris"], BasisFiles(tmp_path), recorded=lambda *_: lines)
    assert other.all == made.all


@pytest.mark.parametrize(
    "until, lines, sentence",
    [
        ("2126-03-02T00:00:00Z", [], "its stretch ends at 2126-03-02T00:00:00Z"),
        ("2026-03-02T00:00:00Z", [], "no record of the route `iris` is in the store"),
    ],
)
def test_stretch_that_cannot_be_pinned_is_told(
    tmp_path: Path, until: str, lines: list[bytes], sentence: str
) -> None:
    drift = drift_of(inputs=DriftRule(reference="march"))
    drift.references["march"] = DriftReference(
        kind="pinned", since="2026-03-01T00:00:00Z", until=until
    )
    bases = bases_of(drift, ["iris"], BasisFiles(tmp_path), recorded=lambda *_: lines)
    assert sentence in bases.problems[0]
    assert not bases.all


def test_of_two_that_put_at_once_one_holds_for_both(tmp_path: Path) -> None:
    shelf, held = BasisFiles(tmp_path / "bases"), list[bytes]()
    barrier = threading.Barrier(2)

    def put(document: bytes) -> None:
        barrier.wait()
        held.append(shelf.put("learned.a%2Fb", document))

    threads = [threading.Thread(target=put, args=(text,)) for text in (b"one", b"two")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert held[0] == held[1] == shelf.get("learned.a%2Fb")
    assert [path.name for path in (tmp_path / "bases").iterdir()] == ["learned.a%2Fb.json"]


def test_route_with_a_slash_is_one_file() -> None:
    assert learned_name("org/model") == "learned.org%2Fmodel"


def test_damaged_document_is_told(tmp_path: Path) -> None:
    shelf = BasisFiles(tmp_path)
    shelf.put(learned_name("iris"), b"{}")
    bases = bases_of(drift_of(weekly=DriftRule(reference="week")), ["iris"], shelf)
    assert bases.problems[0].startswith("route iris: learned.iris is no reference")


def test_reference_survives_the_shelf(tmp_path: Path) -> None:
    made = from_arrays({"x": normal(100)})
    assert decode(BasisFiles(tmp_path).put("a", made.encode())).hash == made.hash
