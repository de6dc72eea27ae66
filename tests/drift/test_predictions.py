"""What a model answers tells that its inputs have changed: BBSDs and BBSDh of lines of the log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.drift.battery import Battery
from gateway.drift.verdict import NAMED
from gateway.profiles.extraction import Extraction
from gateway.profiles.profile import Profile
from gateway.profiles.recorded import from_lines
from gateway.profiles.reference import Reference
from gateway.profiles.slices import Slices
from tests.profiles.samples import MINUTE, NOW, line, lines, tensor

INPUTS = 64
WEIGHTS = np.random.default_rng(7).normal(size=(INPUTS, 3))


def answered(rng: np.random.Generator, count: int, shift: float, kserve: bool) -> list[bytes]:
    """Records of a classifier whose inputs are shifted together, each by very little."""
    inputs = rng.normal(size=(count, INPUTS)) + shift * WEIGHTS[:, 0]
    scores = np.exp(inputs @ WEIGHTS / 4)
    shares = np.round(scores / scores.sum(axis=1, keepdims=True), 6)
    found = []
    for row, p in zip(inputs.round(6).tolist(), shares.tolist(), strict=True):
        label = "abc"[int(np.argmax(p))]
        said: Any = {"p": p, "label": label}
        if kserve:
            said = [tensor("p", p, [1, 3]), tensor("label", [label], [1])]
        found.append(line([row], predictions=said))
    return found


def counted(reference: Reference, data: list[bytes]) -> dict[str, Profile]:
    slices = Slices()
    Extraction({"iris": reference}).count(lines(*data), slices, NOW)
    [source] = slices.sources
    return slices.fields(source, MINUTE)


@pytest.mark.parametrize("kserve", [False, True])
def test_probabilities_and_labels_tell_what_each_input_hardly_shows(kserve: bool) -> None:
    rng = np.random.default_rng(11)
    reference = from_lines(answered(rng, 1500, 0.0, kserve), "iris", signals=())
    kinds = {one.field.name: one.field.kind for one in reference.fields}
    assert {name: kind for name, kind in kinds.items() if "prediction" in name} == {
        "prediction.p.0": "score",
        "prediction.p.1": "score",
        "prediction.p.2": "score",
        "prediction.label": "category",
    }
    battery = Battery(reference.profiles)
    quiet = battery.look(counted(reference, answered(rng, 400, 0.0, kserve)), 0.001)
    assert not quiet.drifting
    moved = battery.look(counted(reference, answered(rng, 400, 0.08, kserve)), 0.001)
    assert {"prediction.p.0", "prediction.label"} <= moved.drifting
    assert len({name for name in moved.drifting if name.isdecimal()}) <= INPUTS // 10
    tests = {(one.field, one.test) for one in moved.findings() if one.is_drift}
    assert ("prediction.p.0", "ks") in tests
    assert {test for field, test in tests if field == "prediction.label"} & set(NAMED)
