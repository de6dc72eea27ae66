"""References, conflicts and doubts in the section `notices`."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.config.masking import masked
from gateway.config.notice_relations import MOST_WEBHOOKS
from tests.config.texts import document, problems, varied

URL = "https://hooks.example.com/T0/hidden"
GOOD = {"url": "${HOOK}", "secret": "${HOOK_SECRET}"}
ENVIRON = {"HOOK": URL, "HOOK_SECRET": "s" * 32}
AT = "notices.webhooks[0]"


def warnings_of(*webhooks: dict[str, Any]) -> dict[str, str]:
    found = document({"notices.webhooks": list(webhooks)}, ENVIRON).warnings
    return {one.path: one.message for one in found if "webhooks" in one.path}


def wrongs_of(*webhooks: dict[str, Any]) -> dict[str, str]:
    text = yaml.safe_dump(varied({"notices.webhooks": list(webhooks)}), sort_keys=False)
    return {one.path: one.message for one in problems(text, ENVIRON)}


def test_good_webhooks_leave_nothing_to_say() -> None:
    slack = {"url": "${HOOK}2", "format": "slack", "events": ["promoted"]}
    assert warnings_of(GOOD, slack) == {}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://x/y",
        "http://",
        "https://a b",
        "http://x:0/",
        "http://x:port",
    ],
)
def test_what_is_no_url_is_wrong(url: str) -> None:
    message = "expected a URL such as https://hooks.example.com/gateway"
    assert wrongs_of(GOOD | {"url": url}) == {f"{AT}.url": message}


def test_credentials_and_fragments_are_not_sent_and_so_wrong() -> None:
    found = wrongs_of(GOOD | {"url": "https://me:word@x/y"}, GOOD | {"url": "https://x/y#z"})
    assert found[f"{AT}.url"].startswith("credentials before the host are not sent")
    assert found["notices.webhooks[1].url"].startswith("what follows the `#` is never sent")


def test_event_that_is_none_is_named_with_what_was_meant() -> None:
    found = wrongs_of(GOOD | {"events": ["promoted", "roled_back"]})
    assert found == {f"{AT}.events[1]": "no event `roled_back`, did you mean `rolled_back`?"}


def test_webhook_that_is_there_twice_is_wrong() -> None:
    assert wrongs_of(GOOD, GOOD) == {"notices.webhooks[1]": "this is `notices.webhooks[0]` again"}


def test_too_many_webhooks_are_wrong() -> None:
    webhooks = [GOOD | {"url": f"https://x/{n}"} for n in range(MOST_WEBHOOKS + 1)]
    assert wrongs_of(*webhooks) == {"notices.webhooks": "at most 32 webhooks"}


@pytest.mark.parametrize(
    "webhook,path,message",
    [
        ({"url": "${HOOK}"}, AT, "without a `secret` its receiver cannot tell who sent a notice"),
        (GOOD | {"secret": "${X:-short}"}, f"{AT}.secret", "the secret is shorter than 16"),
        (GOOD | {"format": "slack"}, f"{AT}.secret", "Slack looks at no signature"),
        (GOOD | {"url": "http://x/y"}, f"{AT}.url", "notices are sent unencrypted"),
        (
            GOOD | {"severity": "error", "events": ["promoted"]},
            f"{AT}.events[0]",
            "`promoted` is info, and `severity: error` leaves it out",
        ),
    ],
)
def test_what_is_probably_not_meant_is_doubted(
    webhook: dict[str, Any], path: str, message: str
) -> None:
    found = [
        one.message
        for one in document({"notices.webhooks": [webhook]}, ENVIRON).warnings
        if one.path == path
    ]
    assert any(one.startswith(message) for one in found)


def test_same_url_for_other_events_is_fine_and_for_the_same_is_doubted() -> None:
    warned = GOOD | {"severity": "warn"}
    assert list(warnings_of(GOOD, warned)) == ["notices.webhooks[1]"]
    promoted, aborted = GOOD | {"events": ["promoted"]}, GOOD | {"events": ["aborted"]}
    assert warnings_of(promoted, aborted) == {}


def test_loopback_needs_no_encryption() -> None:
    assert f"{AT}.url" not in {
        path: text
        for path, text in warnings_of(GOOD | {"url": "http://127.0.0.1:9/x"}).items()
        if "unencrypted" in text
    }


def test_no_message_holds_a_url() -> None:
    bad = [GOOD | {"url": "https://me:word@x/hidden"}, GOOD, GOOD, GOOD | {"url": "x hidden"}]
    assert "hidden" not in str(wrongs_of(*bad))


def test_url_that_stands_in_the_file_is_masked() -> None:
    text = f"notices:\n  webhooks:\n  - {{url: '{URL}', secret: abcdefghijklmnop}}\n"
    assert "hidden" not in masked(text)
