"""What the webhooks of `notices` say, and what they say about each other.

`check_notices` is called by `relations.check`, whose rules hold here.

Rule: no message holds a URL or a part of it, since Slack's are secrets.
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from gateway.config.address import is_loopback
from gateway.config.problems import meant
from gateway.config.rollouts import Notices, Severity, Webhook

# Everything that can happen to a rollout and is told, with what it usually means.
# `notices.notice` says when.
SEVERITY_OF: dict[str, Severity] = {
    "started": "info",
    "advanced": "info",
    "skipped": "info",
    "held": "warn",
    "arm_left": "warn",
    "paused": "info",
    "resumed": "info",
    "needs_confirmation": "warn",
    "confirmed": "info",
    "promoted": "info",
    "rolled_back": "error",
    "aborted": "warn",
    "retried": "info",
    "undone": "warn",
    "retired": "info",
    "failed": "error",
}
SEVERITIES: tuple[Severity, ...] = ("info", "warn", "error")
MOST_WEBHOOKS = 32  # Why: each has a task and a queue

_SHORTEST_SECRET = 16
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...


def check_notices(notices: Notices, found: Findings) -> None:
    """The section `notices`."""
    if len(notices.webhooks) > MOST_WEBHOOKS:
        found.wrong(f"at most {MOST_WEBHOOKS} webhooks", "notices.webhooks")
    for index, webhook in enumerate(notices.webhooks):
        path = f"notices.webhooks[{index}]"
        _check_url(webhook, path, found)
        _check_secret(webhook, path, found)
        _check_events(webhook, path, found)
        _check_likeness(notices.webhooks[:index], webhook, path, found)


def _check_url(webhook: Webhook, path: str, found: Findings) -> None:
    place = _place(webhook.url.reveal())
    if place is None:
        found.wrong("expected a URL such as https://hooks.example.com/gateway", f"{path}.url")
    elif "@" in place.netloc:
        found.wrong(
            "credentials before the host are not sent; sign the body with `secret`", f"{path}.url"
        )
    elif place.fragment:
        found.wrong("what follows the `#` is never sent; remove it", f"{path}.url")
    elif place.scheme == "http" and not is_loopback(place.hostname or ""):
        found.doubtful("notices are sent unencrypted; use https://", f"{path}.url")


def _place(url: str) -> SplitResult | None:
    try:
        place = urlsplit(url)
        is_good = place.scheme in {"http", "https"} and place.hostname and place.port != 0
    except ValueError:
        return None
    return place if is_good and _VISIBLE.fullmatch(url) else None


def _check_secret(webhook: Webhook, path: str, found: Findings) -> None:
    if webhook.secret and len(webhook.secret) < _SHORTEST_SECRET:
        message = f"the secret is shorter than {_SHORTEST_SECRET} characters"
        found.doubtful(message, f"{path}.secret")
    if webhook.secret and webhook.format == "slack":
        found.doubtful("Slack looks at no signature, so this does nothing", f"{path}.secret")
    if not webhook.secret and webhook.format == "json":
        message = "without a `secret` its receiver cannot tell who sent a notice"
        found.doubtful(message, path)


def _check_events(webhook: Webhook, path: str, found: Findings) -> None:
    for index, event in enumerate(webhook.events):
        where = f"{path}.events[{index}]"
        if event not in SEVERITY_OF:
            found.wrong(f"no event `{event}`{meant(event, SEVERITY_OF)}", where)
        elif not _is_enough(SEVERITY_OF[event], webhook.severity):
            usual = SEVERITY_OF[event]
            message = f"`{event}` is {usual}, and `severity: {webhook.severity}` leaves it out"
            found.doubtful(message, where)


def _is_enough(severity: Severity, least: Severity) -> bool:
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


def _check_likeness(
    before: tuple[Webhook, ...], webhook: Webhook, path: str, found: Findings
) -> None:
    for index, other in enumerate(before):
        if other.url != webhook.url:
            continue
        if other == webhook:
            found.wrong(f"this is `notices.webhooks[{index}]` again", path)
        elif not other.events or not webhook.events or set(other.events) & set(webhook.events):
            message = f"some events are told to the same URL as by `notices.webhooks[{index}]`"
            found.doubtful(message, path)
        return
