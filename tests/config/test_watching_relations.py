"""Contracts and the section `drift`: what only could fail later fails when it is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.config.texts import document, problems, varied

AT = "routes.fraud.contract"
HOOK = {"url": "https://hooks.example.com/x", "secret": "${SECRET}"}
ENVIRON = {"SECRET": "s" * 32}


def wrongs(changes: dict[str, Any]) -> dict[str, str]:
    text = yaml.safe_dump(varied(changes), sort_keys=False)
    return {one.path: one.message for one in problems(text, ENVIRON)}


def doubts(changes: dict[str, Any]) -> dict[str, str]:
    return {one.path: one.message for one in document(changes, ENVIRON).warnings}


def of_field(**field: Any) -> dict[str, str]:
    found = wrongs({AT: {"input": {"fields": {"x": field}}}})
    return {path.removeprefix(f"{AT}.input.fields.x."): message for path, message in found.items()}


@pytest.mark.parametrize(
    "field, key, message",
    [
        ({"type": "text", "min": 1}, "min", "`min` is of numbers, this is of type text"),
        ({"type": "number", "min": 2, "max": 1}, "max", "`max` is less than `min`"),
        ({"type": "number", "min_length": 2}, "min_length", "`min_length` is of a text or a list"),
        ({"type": "text", "min_length": 2, "max_length": 1}, "max_length", "less than"),
        ({"type": "text", "pattern": "(a"}, "pattern", "this is no pattern of RE2"),
        ({"type": "number", "pattern": "a"}, "pattern", "`pattern` is of a text"),
        ({"type": "number", "freshness": "1h"}, "freshness", "`freshness` is of a time"),
        ({"type": "number", "of": "text"}, "of", "`of` is for lists"),
        ({"type": "list", "categories": [1]}, "categories", "`categories` are single values"),
        ({"type": "text", "categories": [1]}, "categories[0]", "no value of a field of type text"),
        ({"type": "number", "default": "x"}, "default", "no value of a field of type number"),
        ({"type": "number", "default": True}, "default", "no value of a field of type number"),
        ({"type": "number", "default": 5, "max": 1}, "default", "would violate the contract"),
        ({"type": "text", "default": "b", "categories": ["a"]}, "default", "would violate"),
        ({"type": "text", "default": "", "min_length": 1}, "default", "would violate"),
    ],
)
def test_field_that_contradicts_itself_is_wrong(
    field: dict[str, Any], key: str, message: str
) -> None:
    found = of_field(**field)
    assert message in found[key]


def test_condition_must_be_one_of_listed_fields() -> None:
    side = {"fields": {"amount": "number"}, "rules": ["amont > 1", "amount >", {"check": "a < 1"}]}
    found = wrongs({AT: {"input": side}})
    assert found[f"{AT}.input.rules[0]"] == "no field `amont`, did you mean `amount`?"
    assert found[f"{AT}.input.rules[1]"].startswith("this is no condition")
    assert f"{AT}.input.rules[2].check" in found


def test_schema_that_is_none_is_wrong() -> None:
    found = wrongs({AT: {"output": {"schema": {"type": "nonsense"}}}})
    assert found[f"{AT}.output.schema"].startswith("this is no JSON Schema")


def test_contract_that_asks_for_nothing_is_doubtful() -> None:
    assert f"{AT}" in doubts({AT: {}})
    assert f"{AT}.input" in doubts({AT: {"input": {}}})
    side = {"fields": {"x": "number"}, "max": "8MiB"}
    assert "cannot be checked" in doubts({AT: {"output": side}})[f"{AT}.output.max"]


GOOD: dict[str, Any] = {
    "references": {"week": {"kind": "last_week"}, "champion": {"kind": "champion"}},
    "rules": {"inputs": {"reference": "week", "routes": ["fraud"], "actions": {"retrain": "r"}}},
    "alerts": {"webhooks": [HOOK]},
    "retraining": {"r": HOOK},
}


def drift(**changes: Any) -> dict[str, str]:
    return wrongs({"drift": {**GOOD, **changes}})


def test_good_section_has_no_problem() -> None:
    assert drift() == {}


@pytest.mark.parametrize(
    "changes, path, message",
    [
        ({"references": {}}, "drift.rules.inputs.reference", "no reference `week`"),
        (
            {"references": {**GOOD["references"], "t": {"kind": "training"}}},
            "drift.references.t",
            "needs `file`",
        ),
        (
            {"references": {**GOOD["references"], "t": {"kind": "training", "file": "no"}}},
            "drift.references.t.file",
            "there is no file",
        ),
        (
            {
                "references": {
                    **GOOD["references"],
                    "p": {"kind": "pinned", "since": "2026-11-02", "until": "2026-11-01"},
                }
            },
            "drift.references.p.until",
            "`until` is not after `since`",
        ),
        (
            {"references": {**GOOD["references"], "p": {"kind": "pinned", "since": "then"}}},
            "drift.references.p.since",
            "expected a time",
        ),
        (
            {"references": {**GOOD["references"], "b": {"kind": "before", "length": "8d"}}},
            "drift.references.b.length",
            "1 minute to 7 days",
        ),
        (
            {"references": {**GOOD["references"], "l": {"kind": "last_week", "length": "2d"}}},
            "drift.references.l.length",
            "only for what came `before`",
        ),
        ({"retraining": {}}, "drift.rules.inputs.actions.retrain", "no entry `r`"),
        ({"labels": {"nobody": {}}}, "drift.labels.nobody", "no route `nobody`"),
        ({"consumer": {"source": "kafka"}}, "drift.consumer.source", "log.kafka"),
        ({"alerts": {"kafka_topic": "x"}}, "drift.alerts.kafka_topic", "log.kafka"),
        (
            {"alerts": {"webhooks": [{"url": "ftp://x"}]}},
            "drift.alerts.webhooks[0].url",
            "expected a URL",
        ),
    ],
)
def test_what_refers_to_nothing_is_wrong(changes: dict[str, Any], path: str, message: str) -> None:
    assert message in drift(**changes)[path]


@pytest.mark.parametrize(
    "rule, key",
    [
        ({"every": "2h"}, "every"),
        ({"window": "72h"}, "window"),
        ({"opens": 4}, "opens"),
        ({"routes": ["nobody"]}, "routes[0]"),
        ({"fields": []}, "fields"),
        ({"actions": {"switch_off": ["backend.nobody"]}}, "actions.switch_off[0]"),
    ],
)
def test_rule_that_could_not_work_is_wrong(rule: dict[str, Any], key: str) -> None:
    found = drift(rules={"inputs": {"reference": "week", **rule}})
    assert f"drift.rules.inputs.{key}" in found


WEIGHTED = {"routes.fraud.policy": "weighted"}


@pytest.mark.parametrize(
    "actions, changes, key, message",
    [
        ({"weights": {"score": "10%"}}, WEIGHTED, "weights.score", ""),
        ({"weights": {"score": "10%"}}, {}, "weights", "only the policy `weighted`"),
        ({"weights": {"nobody": "10%"}}, WEIGHTED, "weights.nobody", "nobody"),
        ({"weights": {"one": "10%"}}, WEIGHTED, "weights.one", "no route of this rule"),
        ({"weights": {"score": "110%"}}, WEIGHTED, "weights.score", "a share, such as 20%"),
        ({"payload": "everything"}, WEIGHTED, "payload", "full"),
    ],
)
def test_shift_that_would_change_nothing_is_wrong(
    actions: dict[str, Any], changes: dict[str, Any], key: str, message: str
) -> None:
    rule = {"reference": "week", "routes": ["fraud"], "actions": actions}
    found = wrongs({"drift": {**GOOD, "rules": {"inputs": rule}}, **changes})
    path = f"drift.rules.inputs.actions.{key}"
    assert message in found[path] if message else path not in found


def test_no_bodies_at_all_are_doubtful() -> None:
    rule = {"reference": "week", "actions": {"payload": "0%"}}
    found = doubts({"drift": {**GOOD, "rules": {"inputs": rule}}})
    assert "drift.rules.inputs.actions.payload" in found


def test_secrets_are_told_where_they_are_written() -> None:
    found = doubts({"drift": {**GOOD, "retraining": {"r": {**HOOK, "secret": "x" * 20}}}})
    assert "a secret is written here" in found["drift.retraining.r.secret"]


def test_rules_without_a_log_are_doubtful() -> None:
    found = doubts({"drift": GOOD, "log": {"enabled": False}})
    assert "which is off" in found["drift.rules"]


def test_reference_that_no_rule_looks_at_is_doubtful() -> None:
    references = {**GOOD["references"], "other": {"kind": "champion"}}
    found = doubts({"drift": {**GOOD, "references": references}})
    assert found["drift.references.other"] == "no rule looks at this"


def test_stretch_cannot_be_pinned_without_a_store() -> None:
    pinned = {"kind": "pinned", "since": "2026-11-01", "until": "2026-11-02"}
    changes = {
        "drift": {"references": {"week": pinned}, "rules": {"inputs": {"reference": "week"}}},
        "log": {"store": {"enabled": False}},
    }
    assert "local store, which is off" in wrongs(changes)["drift.references.week.kind"]


def test_training_data_of_a_route_that_records_no_features_are_doubtful(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("x\n1\n")
    changes: dict[str, Any] = {
        "backends.plain": {"protocol": "http", "url": "http://127.0.0.1:9"},
        "routes.plain": {"backends": ["plain"]},
        "drift": {
            "references": {"t": {"kind": "training", "file": str(file)}},
            "rules": {"inputs": {"reference": "t", "routes": ["plain"]}},
        },
    }
    path = "drift.rules.inputs.routes[0]"
    assert "`routes.plain.record.features`" in doubts(changes)[path]
    assert path not in doubts({**changes, "routes.plain.record": {"features": "/x"}})


@pytest.mark.parametrize(
    "labels, path, message",
    [
        ({"kind": "number", "positive": "x"}, ".positive", "this prediction is a number"),
        ({"signals": ["thumb"]}, ".signals[0]", "no signal that has a mean, did you mean `thumbs`"),
        ({"matured": "401d"}, ".matured", "such as 24h or 30d"),
    ],
)
def test_labels_that_cannot_be_read_are_wrong(
    labels: dict[str, Any], path: str, message: str
) -> None:
    found = wrongs({"drift.labels": {"fraud": labels}})
    assert message in found[f"drift.labels.fraud{path}"]


def test_labels_need_the_local_store() -> None:
    found = wrongs({"drift.labels": {"fraud": {}}, "log.store": {"enabled": False}})
    assert "the local store, which is off" in found["drift.labels"]


def test_errors_of_routes_without_labels_are_doubtful() -> None:
    rule = {"errors": {"test": "adwin", "routes": ["fraud"]}}
    assert "none of the routes" in doubts({"drift.rules": rule})["drift.rules.errors.test"]
    labelled = {"drift.rules": rule, "drift.labels": {"fraud": {}}}
    assert "drift.rules.errors.test" not in doubts(labelled)


@pytest.mark.parametrize(
    "labels, record, is_doubtful",
    [
        ({}, {}, True),
        ({"prediction": "/finish_reason"}, {}, False),
        ({}, {"predictions": "/label"}, False),
    ],
)
def test_labels_of_a_route_whose_records_have_no_predictions_are_doubtful(
    labels: dict[str, Any], record: dict[str, Any], is_doubtful: bool
) -> None:
    found = doubts({"drift.labels": {"chat": labels}, "routes.chat.record": record})
    assert ("drift.labels.chat" in found) is is_doubtful
