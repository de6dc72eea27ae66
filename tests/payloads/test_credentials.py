"""What is a secret, and what only looks like one."""

from __future__ import annotations

import math

import pytest

from gateway.payloads.credentials import (
    entropy_of,
    find_secrets,
    is_secret_name,
    is_secret_value,
    looks_random,
)
from tests.payloads.canaries import LOT


def found(text: str) -> list[str]:
    data = text.encode()
    return sorted({data[start:end].decode() for start, end in find_secrets(data)})


@pytest.mark.parametrize(
    "text, secret",
    [
        (f"key: sk-proj-{LOT}_x", f"sk-proj-{LOT}_x"),
        (f"sk_live_{LOT}", f"sk_live_{LOT}"),
        (f"(hf_{LOT})", f"hf_{LOT}"),
        (f"glpat-{LOT}", f"glpat-{LOT}"),
        (f"SG.{LOT}.{LOT}", f"SG.{LOT}.{LOT}"),
        (f"authorization: bearer {LOT}==", f"{LOT}=="),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ("my password: sunshine", "sunshine"),
        ("PASSWORD='p w d'", "p w d"),
        ('{"password": "hunter2"}', "hunter2"),
        ('{\\"password\\": \\"hunter2\\"}', "hunter2"),
        ("db_password=hunter2&x=1", "hunter2"),
        ("passwd => 'hunter2'", "hunter2"),
        (f"API_KEY={LOT}", LOT),
        (f"x-api-key: {LOT}", LOT),
        (f"?access_token={LOT}&a=1", LOT),
        (f"AccountKey={LOT}==;Endpoint=x", f"{LOT}=="),
        ("postgres://me:hunter2@db:5432/x", "hunter2"),
        (f"https://{LOT}@github.com/a", LOT),
        ("redis://:hunter2@cache", "hunter2"),
        ("Set-Cookie: sid=abc; Path=/", "sid=abc; Path=/"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "-----BEGIN PRIVATE KEY-----\nabc"),
    ],
)
def test_secret_is_found_and_nothing_around_it(text: str, secret: str) -> None:
    assert found(text) == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "sk-toggleable-content-label-arrow",
        "the task-oriented-and-risk-based-approach",
        "gw_function_name_of_somebody",
        "bearer certificates are secure",
        "a Bearer token is needed",
        "Bearer $TOKEN",
        "Bearer YOUR_API_KEY",
        "password: required",
        "password = os.environ['X']",
        "password=${DB_PASSWORD}",
        "password = getpass()",
        "self.password = user_password",
        "def login(password: str = None)",
        "token: PageToken",
        "token = tokens[0]",
        "token=token",
        "api_key='YOUR_API_KEY'",
        "max_tokens: 4096, temperature=0.5",
        "the author: Somebody Important",
        "https://medium.com/@somebody/a-long-name-of-an-article",
        "postgres://user@host/db",
        "cookie: chocolate chips",
        "password: ********",
        "-----BEGIN CERTIFICATE-----",
        "eyJ is how they begin",
        "AKIA is a prefix",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_private_key_ends_with_its_last_line() -> None:
    text = "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\nafter it"
    assert found(text) == [text.removesuffix("\nafter it")]


def test_private_keys_that_were_cut_end_with_their_text() -> None:
    one = b"-----BEGIN PRIVATE KEY-----abc"
    assert list(find_secrets(one + b"\xff" + one)) == [(0, 30), (31, 61)]


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "api_key", "apiKey", "client-secret", "token", "x.secret"]
)
def test_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tokens", "max_tokens", "password_hash_size", "author", "x" * 300]
)
def test_other_names_are_none(name: str) -> None:
    assert not is_secret_name(name)


def test_value_is_judged_by_the_name() -> None:
    assert is_secret_value("password", b"sunshine")
    assert not is_secret_value("token", b"sunshine")
    assert is_secret_value("token", LOT.encode())
    assert not is_secret_value("password", b"ab")


@pytest.mark.parametrize("text", [LOT, "a1b2c3d4", "9f86d081884c7d65", "aBcDeFgHiJkL"])
def test_random_text_looks_random(text: str) -> None:
    assert looks_random(text.encode())


@pytest.mark.parametrize(
    "text", ["authentication", "Certificates", "PageToken", "aaaaaaaa1", "state.environment_token"]
)
def test_words_do_not_look_random(text: str) -> None:
    assert not looks_random(text.encode())


def test_entropy_is_that_of_the_distribution() -> None:
    assert entropy_of(b"abcd") == 2
    assert entropy_of(b"aaaa") == 0
    assert math.isclose(entropy_of(b"aab"), -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3)))
