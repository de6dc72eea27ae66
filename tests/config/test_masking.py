"""Secrets in texts that are shown."""

from __future__ import annotations

import pytest

from gateway.config.masking import masked


@pytest.mark.parametrize(
    "text, shown",
    [
        ("api_key: sk-1\n", "api_key: ***\n"),
        ("b: {api_key: sk-1, url: x}\n", "b: {api_key: ***, url: x}\n"),
        ('api_key: "s\\"k, 1"  # why\n', "api_key: ***  # why\n"),
        ("api_key: ${KEY}\n", "api_key: ${KEY}\n"),
        ("backends: {a: {api_key: '${K:-sk-1}'}}\n", "backends: {a: {api_key: ***}}\n"),
        ("tls: {key: /etc/key.pem}\n", "tls: {key: /etc/key.pem}\n"),
        ("headers: {'x-api-key': 'it''s'}\n", "headers: {'x-api-key': ***}\n"),
        ("admin: {token: abc} [broken\n", "admin: {token: ***} [broken\n"),
        ("backends:\n  a:\n    api_key: |\n      sk-folded\n", None),
        ("api_key:\n", "api_key:\n"),
    ],
)
def test_literal_secret_is_masked_and_the_rest_stays(text: str, shown: str | None) -> None:
    assert shown in {masked(text), None}
    assert "sk-" not in masked(text)


def test_secret_that_appears_elsewhere_too_is_masked_there() -> None:
    text = "backends: {a: {api_key: sk-9876}}\n# the key is sk-9876\n"
    assert "sk-9876" not in masked(text)
