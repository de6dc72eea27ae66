"""Outlines of configurations: tolerant of texts, sensitive to changes; and where they are kept."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
import yaml

from gateway.messages import Delivery, Hold, Standing
from gateway.production.outline import expanded, outline_of, registries_of
from gateway.production.outlines import FILE_NAME, Outlines
from tests.config.texts import varied
from tests.production.line import Line


def test_comments_and_order_of_keys_make_no_difference() -> None:
    text = yaml.safe_dump(varied())
    assert outline_of(f"# a comment\n{text}") == outline_of(
        yaml.safe_dump(varied(), sort_keys=False)
    )


@pytest.mark.parametrize("text", ["", "[]", "routes: [broken", "routes: 5", "a: &a [*a]", "\x00"])
def test_text_that_is_no_configuration_has_an_empty_outline(text: str) -> None:
    assert outline_of(text).routes == {}


def test_references_to_nothing_are_left_out() -> None:
    text = yaml.safe_dump(
        varied({"routes.chat.backends": ["one", "gone", {"weight": 3}, 7, "one"]})
    )
    assert [place.backend for place in outline_of(text).routes["chat"].places] == ["one"]


def test_model_is_the_key_unless_named_and_values_become_texts() -> None:
    text = yaml.safe_dump(varied({"backends.one.version": 2, "backends.two.model": "gpt"}))
    first, second = outline_of(text).routes["chat"].places
    assert (first.model, first.version, second.model) == ("one", "2", "gpt")


def test_no_secret_is_in_an_outline(tmp_path: Path) -> None:
    secret = "sk-planted-secret"
    text = yaml.safe_dump(varied({"backends.one.api_key": secret}))
    assert secret not in repr(outline_of(text))
    registry = {"backends.one.registry": {"mlflow": {"url": "u", "name": "n", "token": secret}}}
    [found] = registries_of(yaml.safe_dump(varied(registry)), {}).values()
    assert found.mlflow is not None
    assert not found.mlflow.token


@pytest.mark.parametrize(
    "text,found",
    [
        ("${A}", "1"),
        ("v${A}-${B:-2}", "v1-2"),
        ("${C}", "${C}"),
        ("${D:-}", ""),
        ("plain", "plain"),
    ],
)
def test_variables_are_replaced_where_known(text: str, found: str) -> None:
    assert expanded(text, {"A": "1", "B": ""}) == found


def test_outlines_are_kept_for_the_next_process(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for n in range(25):
        line.change({"backends.one.version": str(n)})
    line.in_force().warm()
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    line.entries = [
        type(entry)(
            id=entry.id, at_ms=entry.at_ms, author="", hash=entry.hash, outcome="applied", text=""
        )
        for entry in line.entries
    ]
    assert line.in_force().at("", "chat").routes[0].backends[0].version == "24"  # not from the text


@pytest.mark.parametrize(
    "content", [b"", b"\xc1damaged", b"\x82\xa4form\xcd\x03\xe7\xa8outlines\x80"]
)
def test_damaged_or_foreign_file_costs_time_only(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    line = Line(tmp_path)
    entry = line.change()
    assert "chat" in Outlines(tmp_path).of(entry).routes


def test_state_that_cannot_be_written_is_only_read(tmp_path: Path) -> None:
    line = Line(tmp_path / "nowhere")
    for n in range(25):
        line.change({"backends.one.version": str(n)})
    line.in_force().warm()


def test_thousand_changes_are_looked_through_within_a_second(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for n in range(1000):
        line.change({"routes.fraud.priority": n % 8, "backends.score.version": str(n % 40)})
    line.in_force().warm()
    found = line.in_force()
    began = time.perf_counter()
    assert found.at("", "chat").routes[0].since.at == found.at().routes[0].since.at
    assert time.perf_counter() - began < 1.0


def test_challengers_of_rollouts_are_there_with_their_weight() -> None:
    text = """
backends: {old: {protocol: openai}, new: {protocol: openai}, other: {protocol: openai}}
routes: {chat: {backends: [old]}, talk: {backends: [old]}}
rollouts: {next: {route: chat, arms: {challenger: {backends: [new]}}}}
"""
    started = "{route: chat, arms: {b: {backends: [other, gone]}}}"
    delivery = Delivery(
        specs={"hand": started},
        rollouts={
            "next": Standing(spec="", weights={"challenger": 250_000}),
            "hand": Standing(spec="", weights={"b": 10_000}),
            "of nobody": Standing(spec="", weights={"x": 1}),
        },
    )
    found = outline_of(text, delivery).routes
    assert [(p.backend, p.weight) for p in found["chat"].challengers()] == [
        ("new", 250_000),
        ("other", 0),
    ]
    assert not found["talk"].challengers()
    assert not outline_of(text).routes["chat"].challengers()


def test_weights_that_an_alert_holds_are_those_in_production() -> None:
    text = """
backends: {old: {protocol: openai}, new: {protocol: openai}}
routes:
  chat: {policy: weighted, backends: [{backend: new, weight: 9}, old], fallback: [old]}
"""
    delivery = Delivery(holds={"alert:1": Hold(route="chat", weights={"new": 100_000})})
    found = outline_of(text, delivery).routes["chat"]
    assert [(p.role, p.backend, p.weight) for p in found.places] == [
        ("candidate", "new", 100_000),
        ("candidate", "old", 900_000),
        ("fallback", "old", 1),
    ]
