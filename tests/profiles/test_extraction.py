"""Lines become the same counts as the values that are in them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from gateway.profiles.extraction import KEPT, Extraction
from gateway.profiles.recorded import from_lines, outputs_of, rows_of
from gateway.profiles.reference import Reference, from_arrays
from gateway.profiles.signals import ALIASES, SIGNALS, names_of
from gateway.profiles.slices import Slices, Source
from tests.profiles.samples import MINUTE, NOW, line, lines, normal, tensor

IRIS = Source("iris", "7")


def reference_of(**columns: Any) -> Reference:
    return from_arrays(columns, route="iris")


def counted(
    data: bytes, reference: Reference, *, batch: int = 1024, source: Source = IRIS
) -> dict[str, Any]:
    """(rows, values, mean) by field, of what the lines have."""
    slices = Slices()
    extraction = Extraction({"iris": reference}, lines=batch)
    extraction.count(data, slices, NOW)
    return {
        one.field.name: slices.window(source, one.field, MINUTE, NOW + 1)
        for one in reference.fields
    }


@pytest.mark.parametrize(
    "features",
    [
        {"x": 1.5, "c": "b", "stranger": 3},
        [{"x": 1.5, "c": "b"}, {"x": None}, {"c": "zz"}],
        [tensor("x", [1.5, 2.5, 3.5], [3, 1]), tensor("c", ["a", "b", "b"], [3])],
        [tensor("x", [[1.5], [2.5]], [2, 1])],
        [tensor("t", [1, 2, 3, 4, 5, 6], [3, 2]), tensor("x", [7, 8, 9], [3])],
        [tensor("t", [[1, 2], [3, 4]], [2, 2])],
        [[1.5, "b"], [2.5, "a"]],
        [1.5, "a"],
        {},
        [],
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [4, 1024])
def test_features_are_found_in_every_layout(features: Any, batch: int) -> None:
    columns = {"x": normal(50), "t.0": normal(50), "t.1": normal(50), "0": normal(50)}
    reference = reference_of(**columns, c=["a", "b"] * 25)
    found = counted(lines(*[line(features)] * 5), reference, batch=batch)
    rows = list(rows_of(features)) * 5
    for one in reference.fields:
        values = [row.get(one.field.name, ...) for row in rows]
        wanted = [value for value in values if value is not ...]
        profile = found[one.field.name]
        assert profile.rows == len(rows), one.field.name
        assert profile.specials["missing"] == len(rows) - len(wanted)
        again = type(profile)(one.field)
        again.update(np.array(wanted, object))
        assert np.array_equal(profile.counts[: one.field.bins], again.counts[: one.field.bins])
        assert profile.total == again.total


@pytest.mark.parametrize(
    "predictions",
    [
        0.5,
        [0.5, 0.25, None, "x"],
        [[0.5, 0.25], [0.75]],
        {"p": [0.5, 0.25], "label": "b", "by": {"q": 0.5}},
        [{"p": [0.5, 0.25], "label": "b"}, {"p": [0.5]}, {"label": 3, "by": {"q": 1, "r": 2}}],
        [tensor("p", [0.5, 0.25, 0.75, 1], [2, 2]), tensor("label", ["a", "b"], [2])],
        "gcm1b.k.s.n.d",
        None,
        [],
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [4, 1024])
def test_predictions_are_found_in_every_layout(predictions: Any, batch: int) -> None:
    names = ["", "0", "1", "p.0", "p.1", "by.q"]
    columns: dict[str, Any] = {f"prediction.{name}".rstrip("."): normal(50) for name in names}
    reference = reference_of(**columns, **{"prediction.label": ["a", "b"] * 25})
    said = line({"label": "feature"}, predictions=predictions)
    found = counted(lines(*[said] * 5), reference, batch=batch)
    rows = list(outputs_of(predictions)) * 5
    for one in reference.fields:
        # Why not that of p: of an array of another length all of it is of another type.
        values = [row.get(one.field.name, ...) for row in rows]
        wanted = [value for value in values if value is not ...]
        profile = found[one.field.name]
        assert profile.rows == len(rows), one.field.name
        if any("prediction.p.0" in row and "prediction.p.1" not in row for row in rows):
            assert one.field.name[:13] != "prediction.p." or profile.specials["violation"] == 5
            continue
        again = type(profile)(one.field)
        again.update(np.array(wanted, object))
        assert profile.specials["missing"] == len(rows) - len(wanted)
        assert np.array_equal(profile.counts[: one.field.bins], again.counts[: one.field.bins])


def test_a_reference_knows_labels_scores_and_figures() -> None:
    rng = np.random.default_rng(3)
    said = [
        line(
            {"label": 1.5},
            predictions={
                "label": int(rng.integers(3)),
                "name": "spam" if rng.random() < 0.5 else "ham",
                "p": rng.dirichlet([1, 1, 1]).round(4).tolist(),
                "price": float(rng.normal(100, 9)),
                "vector": rng.normal(size=128).tolist(),
            },
        )
        for _ in range(60)
    ]
    reference = from_lines(said, "iris", signals=())
    kinds = {one.field.name: one.field.kind for one in reference.fields}
    assert kinds == {
        "label": "numeric",
        "prediction.label": "category",
        "prediction.name": "category",
        "prediction.p.0": "score",
        "prediction.p.1": "score",
        "prediction.p.2": "score",
        "prediction.price": "numeric",
        "prediction.vector": "embedding",
    }
    found = counted(lines(*said), reference)
    for name, profile in reference.profiles.items():
        assert found[name].encode() == profile.encode(), name


def test_signals_are_worked_out_of_lines() -> None:
    usage = {"output_tokens": 50}
    said = [
        line(
            finish_reason="stop", usage=usage, timing={"total_us": 10**6, "first_byte_us": 500_000}
        ),
        line(
            finish_reason="tools", usage=usage, timing={"total_us": 10**6, "first_byte_us": 990_000}
        ),
        line(finish_reason="filter", anomalies=["input:X:/a"]),
        line(
            finish_reason="stop", anomalies=["input:X:/a", "output:Y:"], usage={"output_tokens": 0}
        ),
        line(anomalies=["output:Y:"]),
    ]
    reference = from_lines(said, "iris")
    found = counted(lines(*said), reference)
    counts = {
        name: (found[name].counts[1], found[name].specials["missing"])
        for name in ("llm.refused", "llm.tool_call", "llm.invalid")
    }
    assert counts == {"llm.refused": (1, 1), "llm.tool_call": (1, 1), "llm.invalid": (1, 1)}
    assert (found["llm.tokens_per_s"].low, found["llm.tokens_per_s"].high) == (50, 100)
    assert found["llm.tokens_per_s"].specials["missing"] == 3
    for one in reference.fields:
        assert found[one.field.name].encode() == reference.profiles[one.field.name].encode()


def test_signals_have_names_for_rules() -> None:
    assert names_of("/usage/output_tokens") == ("/usage/output_tokens", "llm.output_tokens")
    assert names_of("llm.refused") == ("llm.refused",)
    assert set(ALIASES.values()) <= set(SIGNALS)


def test_a_tensor_of_another_width_violates_the_type_of_its_columns() -> None:
    reference = reference_of(**{"t.0": normal(50), "t.1": normal(50)})
    found = counted(lines(line([tensor("t", [1, 2, 3], [1, 3])])), reference)
    assert [found[name].values for name in ("t.0", "t.1")] == [0, 0]
    assert found["t.0"].specials["violation"] == 2


def test_numbers_are_the_doubles_python_reads() -> None:
    values = [*normal(300).tolist(), 1e22, 1e-30, 5e-324, 123456789012345678, -0.0]
    reference = reference_of(x=np.array(values))
    found = counted(lines(*(line({"x": value}) for value in values)), reference)["x"]
    wanted = reference.profiles["x"]
    assert found.encode() == wanted.encode()


def test_what_is_no_number_is_told_by_its_type() -> None:
    given = [None, "7", True, [1], {"a": 1}, 3]
    data = lines(*(line({"x": value}) for value in given), line({}))
    specials = counted(data, reference_of(x=normal(50)))["x"].specials
    assert (specials["null"], specials["violation"], specials["missing"]) == (1, 4, 1)


def test_categories_are_compared_unescaped() -> None:
    reference = reference_of(c=["søvik", 'a"b', "x"] * 9)
    data = lines(*(line({"c": one}) for one in ("søvik", 'a"b', "new\n", "x")))
    found = counted(data, reference)["c"]
    assert found.values == 3
    assert found.strangers == {"new\n": 1}


def test_signals_are_read_by_their_pointers() -> None:
    said = [line(confidence=share, usage={"output_tokens": 7}) for share in (0.5, 0.7, 0.9)]
    reference = from_lines(said, "iris")
    found = counted(lines(*said), reference)
    assert found["/confidence"].mean == pytest.approx(0.7)
    assert found["/usage/output_tokens"].values == 3
    assert found["/timing/total_us"].low == 900
    assert found["/outcome"].values == 3
    for one in reference.fields:
        assert found[one.field.name].encode() == reference.profiles[one.field.name].encode()


def test_a_text_is_counted_by_its_measures_and_not_kept() -> None:
    texts = ["Hello there, 3 times.", "æøå " * 20, "日本語のテキスト"] * 40
    reference = from_arrays({"q": texts}, kinds={"q": "text"}, route="iris")
    data = lines(*(line({"q": text}) for text in texts), line({"q": 5}))
    found = counted(data, reference)
    assert found["q#length"].values == 120
    assert found["q#length"].mean == pytest.approx(np.mean([len(text) for text in texts]), abs=0.01)
    assert found["q#words"].specials["violation"] == 1
    assert b"Hello" not in b"".join(profile.encode() for profile in found.values())


def test_an_embedding_is_read_of_a_tensor() -> None:
    vectors = normal(5 * 12).reshape(5, 12)
    reference = from_arrays({"e": vectors}, route="iris")
    data = lines(
        line([tensor("e", vectors.ravel().tolist(), [5, 12])]),
        line([tensor("e", [None] * 12, [1, 12])]),
    )
    found = counted(data, reference)["e"]
    assert np.array_equal(found.waves, reference.profiles["e"].waves)
    assert (found.values, found.specials["null"]) == (5, 1)


def test_each_source_and_minute_is_counted_apart() -> None:
    reference = reference_of(x=normal(100))
    arms: list[dict[str, Any]] = [
        {"decisions": [{"route": "iris", "arm": "next:b"}]},
        {},
        {"kind": "shadow"},
    ]
    said = [
        line({"x": float(at)}, minute=MINUTE + at % 2, version=str(at % 3), **arms[at % 3])
        for at in range(60)
    ]
    slices = Slices()
    Extraction({"iris": reference}).count(lines(*said), slices, NOW)
    assert [(one.version, one.arm) for one in slices.sources] == [
        ("0", "next:b"),
        ("1", ""),
        ("2", "shadow"),
    ]
    for source in slices.sources:
        for minute in slices.minutes(source):
            profile = slices.fields(source, minute)["x"]
            wanted = [
                at
                for at in range(60)
                if at % 3 == int(source.version) and at % 2 == minute - MINUTE
            ]
            assert profile.mean == pytest.approx(np.mean(wanted))
            assert profile.rows == len(wanted)


def test_lines_that_are_no_records_are_counted_and_a_few_kept() -> None:
    reference = reference_of(x=normal(100))
    extraction, slices = Extraction({"iris": reference}), Slices()
    bad = [b'{"a":1', b"[]", b"\xff", b'{"kind":"prediction","kind":"feedback"}'] * 5
    extraction.count(lines(*bad, line({"x": 1.0}), line({"x": 1}, time="yesterday")), slices, NOW)
    extraction.count(lines(line({"x": 2.0}, route="other"), line(kind="feedback")), slices, NOW)
    counts = extraction.told.counts
    assert (counts["malformed"], len(extraction.told.malformed)) == (20, KEPT)
    assert (counts["untimed"], counts["unreferenced"], counts["feedback"]) == (1, 1, 1)
    assert slices.window(IRIS, reference.fields[0].field, MINUTE, NOW).rows == 1


def test_features_nobody_knows_are_told_by_name() -> None:
    extraction = Extraction({"iris": reference_of(x=normal(100))})
    extraction.count(lines(*[line({"x": 1.0, "new": 2, "o\\u00f8": 3})] * 3), Slices(), NOW)
    assert set(extraction.told.strangers) == {"new", "o\\u00f8"}
    assert extraction.told.counts["unknown_features"] == 6


def test_sealed_features_are_told_apart() -> None:
    extraction = Extraction({"iris": reference_of(x=normal(100))})
    extraction.count(lines(line("gwenc:abc")), Slices(), NOW)
    assert extraction.told.counts["shapeless"] == 1


def test_more_rows_than_a_batch_has_room_for_wait_or_are_told() -> None:
    reference = reference_of(x=normal(100))
    slices, extraction = Slices(), Extraction({"iris": reference}, lines=8)
    data = lines(*[line([{"x": 1.0}] * 5)] * 3, line([{"x": 1.0}] * 11), line({"x": 1.0}))
    assert extraction.count(data, slices, NOW) == 5
    assert slices.window(IRIS, reference.fields[0].field, MINUTE, NOW).rows == 15 + 8 + 1
    assert extraction.told.counts["skipped_rows"] == 3


def test_clocks_that_jump_are_told() -> None:
    reference = reference_of(x=normal(100))
    slices = Slices(minutes=60)
    data = lines(*(line({"x": 1.0}, minute=NOW + by) for by in (0, 4, 600, -30, -90)))
    Extraction({"iris": reference}).count(data, slices, NOW)
    assert dict(slices.dropped) == {"ahead": 1, "late": 1}


def test_batches_cut_anywhere_count_the_same() -> None:
    rng = np.random.default_rng(5)
    said = [
        line({"x": float(rng.normal()), "c": f"n{at % 7}"}, minute=MINUTE - at % 3)
        for at in range(200)
    ]
    reference = reference_of(x=normal(100), c=["n1", "n2"] * 20)
    states = []
    for batch in (1, 7, 64, 1024):
        found = counted(lines(*said), reference, batch=batch)
        states.append({name: profile.encode() for name, profile in found.items()})
    assert all(state == states[0] for state in states)


def test_a_lone_surrogate_and_huge_numbers_harm_nobody() -> None:
    reference = reference_of(x=normal(100), c=["a", "b"] * 20)
    raw = (
        line({"x": 1, "c": "a"})
        .replace(b'"x":1', b'"x":1e999')
        .replace(b'"c":"a"', b'"c":"\\ud800"')
    )
    digits = line({"x": 1}).replace(b'"x":1', b'"x":' + b"1" * 600)
    found = counted(lines(raw, digits), reference)
    assert found["x"].specials["above"] == 1
    assert found["x"].specials["nan"] == 1
    assert found["c"].specials["unseen"] == 1


def test_a_reference_of_lines_knows_where_it_comes_from() -> None:
    said = [
        line({"x": float(at), "c": "a" if at % 2 else None}, minute=MINUTE + at) for at in range(9)
    ]
    reference = from_lines([*said, b"{", line({"x": 1}, route="other")], "iris")
    assert (reference.rows, reference.model_version) == (9, "7")
    assert reference.begun < reference.ended
    assert reference.profiles["c"].specials["null"] == 5
    assert math.isclose(reference.profiles["x"].mean, 4.0)
    assert json.loads(reference.encode())["route"] == "iris"
