"""Notices as JSON and as Slack reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.notice_relations import SEVERITIES, SEVERITY_OF
from gateway.notices.bodies import LONGEST_SENTENCE, MOST_FACTS, body_of
from gateway.notices.notice import EVENTS, severity_of
from tests.notices.webhooks import make_notice


def written(form: str, **fields: object) -> Any:
    return json.loads(body_of(make_notice(**fields), form, "the-key"))  # type: ignore[arg-type]


def test_json_has_everything() -> None:
    assert written("json") == {
        "v": 1,
        "id": "the-key",
        "event": "rolled_back",
        "severity": "error",
        "rollout": "chat-v2",
        "route": "chat",
        "at": "2025-11-21T16:00:00Z",
        "sentence": make_notice().sentence,
        "facts": {"gate": "errors", "weight": 1.0, "requests": 31},
    }


def test_slack_has_text_colour_and_fields() -> None:
    body = written("slack")
    assert body["text"].startswith("chat-v2 rolled back: errors: 9 of 31")
    (attachment,) = body["attachments"]
    section, context = attachment["blocks"]
    assert attachment["color"] == "#c62828"
    assert section["text"]["text"].startswith(":rotating_light: *chat-v2* rolled back\n")
    assert [field["text"] for field in section["fields"]] == [
        "*gate*\nerrors",
        "*weight*\n1",
        "*requests*\n31",
    ]
    assert context["elements"][0]["text"] == "route chat, 2025-11-21T16:00:00Z"


def test_no_name_calls_a_channel_or_makes_a_link() -> None:
    text = json.dumps(written("slack", rollout="<!channel>", sentence="<http://x|y> & z"))
    assert "<" not in text
    assert "&lt;!channel&gt;" in text
    assert "&amp; z" in text


def test_everything_is_cut_to_what_slack_takes() -> None:
    facts = {f"fact {at}": "x" * 5_000 for at in range(30)}
    section = written("slack", sentence="y" * 9_000, facts=facts)["attachments"][0]["blocks"][0]
    assert len(section["fields"]) == MOST_FACTS
    assert all(len(field["text"]) <= 2_000 + 20 for field in section["fields"])
    assert len(section["text"]["text"]) <= LONGEST_SENTENCE + 100


def test_facts_are_optional() -> None:
    body = written("slack", facts={}, route="")
    section, context = body["attachments"][0]["blocks"]
    assert "fields" not in section
    assert context["elements"][0]["text"] == "2025-11-21T16:00:00Z"


def test_what_can_be_told_is_what_can_be_configured() -> None:
    assert list(EVENTS) == list(SEVERITY_OF)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_severity_and_a_colour(event: str) -> None:
    assert severity_of(make_notice(event)) in SEVERITIES
    assert written("slack", event=event)["attachments"][0]["color"]


def test_severity_may_be_said_otherwise_and_unknown_events_are_news() -> None:
    assert severity_of(make_notice("promoted", severity="error")) == "error"
    assert severity_of(make_notice("something_new")) == "info"
