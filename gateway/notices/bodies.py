"""A notice as JSON for programs, and as Slack's incoming webhooks read it.

Rule: texts are cut to what the receiver takes, and Slack's own signs in them are escaped,
so that no name can make a link or call a channel.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.notices.notice import Fact, Notice, severity_of

VERSION = 1
LONGEST_SENTENCE = 2_000
MOST_FACTS = 10  # Slack's limit of fields in a section

_COLOURS = {"info": "#2e7d32", "warn": "#f9a825", "error": "#c62828"}
_SIGNS = {"info": ":white_check_mark:", "warn": ":warning:", "error": ":rotating_light:"}


def body_of(notice: Notice, form: str, key: str) -> bytes:
    """The body; `key` tells this notice from all others, however often it is sent."""
    return _FORMS[form](notice, key)


def _json(notice: Notice, key: str) -> bytes:
    return msgspec.json.encode(
        {
            "v": VERSION,
            "id": key,
            "event": notice.event,
            "severity": severity_of(notice),
            "rollout": notice.rollout,
            "route": notice.route,
            "at": _time(notice.at_ms),
            "sentence": _cut(notice.sentence),
            "facts": notice.facts,
        }
    )


def _slack(notice: Notice, _key: str) -> bytes:
    severity = severity_of(notice)
    head = f"{_SIGNS[severity]} *{_escaped(notice.rollout)}* {notice.event.replace('_', ' ')}"
    said = f"{head}\n{_escaped(_cut(notice.sentence))}"
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _text(said)}]
    if notice.facts:
        blocks[0]["fields"] = [_text(_field(*fact)) for fact in _few(notice.facts)]
    where = f"route {_escaped(notice.route)}, " if notice.route else ""
    blocks.append({"type": "context", "elements": [_text(f"{where}{_time(notice.at_ms)}")]})
    plain = f"{notice.rollout} {notice.event.replace('_', ' ')}: {_cut(notice.sentence)}"
    attachment = {"color": _COLOURS[severity], "fallback": _escaped(plain), "blocks": blocks}
    return msgspec.json.encode({"text": _escaped(plain), "attachments": [attachment]})


_FORMS: dict[str, Callable[[Notice, str], bytes]] = {"json": _json, "slack": _slack}


def _few(facts: dict[str, Fact]) -> list[tuple[str, Fact]]:
    return list(facts.items())[:MOST_FACTS]


def _field(name: str, value: Fact) -> str:
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"*{_escaped(name.replace('_', ' '))}*\n{_escaped(_cut(shown))}"


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - 1]}…"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
