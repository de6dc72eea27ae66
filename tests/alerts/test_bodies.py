"""What receivers read of an alert."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.alerts.alert import Event
from gateway.alerts.bodies import body_of, email_of
from gateway.alerts.book import Book
from gateway.alerts.finding import Finding
from gateway.alerts.views import AlertView, view_of
from gateway.config.watching import Drift, DriftAlerts, DriftEmail, DriftRule
from tests.alerts.alerts import MINUTE, finding, look

PLAIN = Drift()


def alert(*findings: Finding, drift: Drift = PLAIN) -> AlertView:
    book = Book()
    for minute in (0, 1):
        book.take(look(minute, *findings), DriftRule(), MINUTE)
    return view_of(next(iter(book.alerts.values())), drift)


BROKEN = alert(
    finding(
        evidence={"null_share": 0.41234567, "rows": 5_000},
        requests=("r-1", "r-2", "r-3"),
        cause="upstream orders",
    ),
    finding("feature_drift", "per_day"),
)


def said(form: str, event: Event = "opened", view: AlertView = BROKEN) -> Any:
    return json.loads(body_of(view, event, form, "alert-1-1"))


def test_json_has_the_evidence_and_the_followers() -> None:
    body = said("json")
    assert (body["v"], body["id"], body["event"]) == (1, "alert-1-1", "opened")
    assert body["alert"]["lead"]["requests"] == ["r-1", "r-2", "r-3"]
    assert [one["field"] for one in body["alert"]["followers"]] == ["per_day"]


def test_slack_has_what_people_need() -> None:
    body = said("slack")
    text = body["attachments"][0]["blocks"][0]["text"]["text"]
    for part in ("values are missing", "null_share 0.4123", "per_day", "r-2", "data-missing.md"):
        assert part in text
    assert body["text"] == "[warning] scores: values are missing: amount"


def test_runbooks_are_linked_where_they_are_published() -> None:
    drift = Drift(alerts=DriftAlerts(runbooks="https://wiki.example.com/drift/"))
    shown = alert(finding("sentinel"), drift=drift)
    assert shown.runbook == "https://wiki.example.com/drift/sentinel.md"


def test_no_name_makes_a_link_in_slack() -> None:
    body = said("slack", view=alert(finding(field="<!channel>&")))
    assert "<!channel>" not in json.dumps(body)


def test_alertmanager_knows_the_alert_again_when_it_is_over() -> None:
    (first,), (last,) = said("alertmanager"), said("alertmanager", "resolved")
    assert first["labels"] == last["labels"]
    assert first["annotations"]["runbook_url"].endswith("data-missing.md")
    assert "endsAt" not in first
    assert "endsAt" in last


@pytest.mark.parametrize("event", ["opened", "raised", "repeated", "resolved"])
def test_email_says_it_in_its_subject(event: Event) -> None:
    settings = DriftEmail(host="mail", sender="gateway@example.com", to=("a@example.com",))
    body = body_of(BROKEN, event, "json", "alert-1-1")
    message = email_of(body, settings)
    words = {"opened": "", "raised": "worse: ", "repeated": "still: ", "resolved": "resolved: "}
    assert message["Subject"] == f"[warning] scores: {words[event]}values are missing: amount"
    assert "upstream orders" in message.get_content()


def test_no_name_makes_a_header_of_an_email() -> None:
    settings = DriftEmail(host="mail", sender="gateway@example.com", to=("a@example.com",))
    body = body_of(alert(finding(field="x\r\nBcc: all@example.com")), "opened", "json", "k")
    message = email_of(body, settings)
    assert "Bcc" not in message
