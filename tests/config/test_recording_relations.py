"""References, limits and conflicts in the sections `log` and `record`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from gateway.config import recording_relations
from gateway.config.recording_relations import is_credential_header
from tests.config.texts import document, problems_of

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(b"o" * 32).decode()
KAFKA = {"bootstrap": ["broker:9092"]}
MLFLOW = {"url": "http://mlflow:5000", "name": "fraud"}


def warnings_of(changes: dict[str, Any]) -> dict[str, str]:
    return {one.path: one.message for one in document(changes).warnings}


@pytest.mark.parametrize("text", ["none", "always", "50ms", "1s", "1m"])
def test_sync_is_a_word_or_a_time(text: str) -> None:
    assert problems_of({"log.sync": text}) == {}


@pytest.mark.parametrize("text", ["", "never", "50", "0", "0ms", "2m", "-1s"])
def test_sync_that_is_neither_is_wrong(text: str) -> None:
    message = "expected none, always, or a time up to 1m, such as 50ms"
    assert problems_of({"log.sync": text}) == {"log.sync": message}


@pytest.mark.parametrize(
    "changes, path, message",
    [
        ({"log.segment.size": "1000KiB"}, "log.segment.size", "a segment has at least 1MiB"),
        (
            {"log.segment.size": "1MiB", "routes.chat.record": {"payload": "full", "max": "1MiB"}},
            "log.segment.size",
            "a segment has at least 16MiB, 16 bodies of the longest `record.max`",
        ),
        (
            {"log.segment.size": "64MiB", "log.max_size": "100MiB"},
            "log.max_size",
            "fewer than two segments fit in it",
        ),
        (
            {"log.store": {"enabled": False}},
            "log",
            "records go nowhere; enable one of store, kafka, objects and stdout",
        ),
        (
            {"log.user_header": "Authorization"},
            "log.user_header",
            "this header holds a secret, which no record may have",
        ),
        (
            {"log.encryption": {"key": "aGVsbG8="}},
            "log.encryption.key",
            "expected 32 bytes in base64, as `openssl rand -base64 32` prints",
        ),
        (
            {"log.encryption": {"key": KEY, "old_keys": [KEY[:-4], "%" * 44]}},
            "log.encryption.old_keys[1]",
            "expected 32 bytes in base64, as `openssl rand -base64 32` prints",
        ),
        ({"log.kafka": {"bootstrap": []}}, "log.kafka.bootstrap", "at least one broker is needed"),
        (
            {"log.kafka": {"bootstrap": ["a:1", "b"]}},
            "log.kafka.bootstrap[1]",
            "expected host:port",
        ),
        (
            {"log.kafka": {**KAFKA, "topic": "t", "feedback_topic": "t"}},
            "log.kafka.feedback_topic",
            "records and feedback need a topic each",
        ),
        (
            {"log.kafka": {**KAFKA, "tls": {"ca": "/nowhere/ca.pem"}}},
            "log.kafka.tls.ca",
            "there is no file `/nowhere/ca.pem`",
        ),
        (
            {"log.kafka": {**KAFKA, "sasl": {"username": "me"}}},
            "log.kafka.sasl",
            "`username` and `password` are needed together",
        ),
        (
            {"log.objects": {"url": "/records"}},
            "log.objects.url",
            "expected a URL such as file:///directory or s3://bucket/prefix",
        ),
        (
            {"log.objects": {"url": "s3://b", "key": "k"}},
            "log.objects",
            "`key` and `secret` are needed together",
        ),
        (
            {"routes.chat.record": {"headers": ["x-team", "X-Api-Key"]}},
            "routes.chat.record.headers[1]",
            "`X-Api-Key` holds a secret, which no record may have",
        ),
        (
            {"routes.chat.record": {"features": "/a~b"}},
            "routes.chat.record.features",
            "in a pointer, `~` is written ~0 and `/` in a name ~1",
        ),
        (
            {"routes.chat.record": {"predictions": "/rows/*/y"}},
            "routes.chat.record.predictions",
            "predictions stand in one place; `*` is for `redact`",
        ),
        (
            {"routes.chat.record": {"features": "/rows/*/x"}},
            "routes.chat.record.features",
            "features stand in one place; `*` is for `redact`",
        ),
        (
            {"routes.chat.record": {"redact": {"pointers": ["/a", "/~"]}}},
            "routes.chat.record.redact.pointers[1]",
            "in a pointer, `~` is written ~0 and `/` in a name ~1",
        ),
        (
            {"backends.one.registry": {"mlflow": MLFLOW}},
            "backends.one.registry.mlflow",
            "expected exactly one of `alias` and `version`",
        ),
        (
            {"backends.one.registry": {"mlflow": {**MLFLOW, "alias": "a", "version": "1"}}},
            "backends.one.registry.mlflow",
            "expected exactly one of `alias` and `version`",
        ),
        (
            {"backends.one.registry": {"mlflow": {**MLFLOW, "alias": "a", "url": "mlflow"}}},
            "backends.one.registry.mlflow.url",
            "expected a URL such as http://mlflow:5000",
        ),
        (
            {"backends.one.registry": {"mlflow": {**MLFLOW, "alias": "a", "name": ""}}},
            "backends.one.registry.mlflow.name",
            "the name of a registered model is needed",
        ),
    ],
)
def test_what_cannot_work_is_wrong(changes: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(changes).get(path) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"log.encryption": {"key": KEY}},
        {"log.kafka": {**KAFKA, "sasl": {"username": "me", "password": "pw"}}},
        {"log.kafka": {"bootstrap": ["[::1]:9092", "10.0.0.1:9092"]}},
        {"log": {"enabled": False, "store": {"enabled": False}, "sync": "sometimes"}},
        {"log": {"store": {"enabled": False}, "stdout": True}},
        {"routes.chat.record": {"headers": ["x-author", "idempotency-key", "x-team"]}},
        {"routes.chat.record": {"features": "/a~1b/0", "redact": {"pointers": ["/m/*/c"]}}},
        {"backends.one.registry": {"mlflow": {**MLFLOW, "alias": "champion"}}},
        # Why: no body is kept, so that its size says nothing of segments
        {"log.segment.size": "1MiB", "routes.chat.record": {"payload": "digest", "max": "1MiB"}},
    ],
)
def test_what_works_is_accepted(changes: dict[str, Any]) -> None:
    assert problems_of(changes) == {}


@pytest.mark.parametrize(
    "changes, path",
    [
        ({"log": {"enabled": False, "kafka": KAFKA}}, "log.kafka"),
        ({"log.encryption": {"key": KEY, "old_keys": [KEY]}}, "log.encryption.old_keys"),
        (
            {"log.kafka": {**KAFKA, "sasl": {**dict.fromkeys(("username", "password"), "x")}}},
            "",
        ),
        (
            {
                "log.kafka": {
                    **KAFKA,
                    "sasl": {"mechanism": "PLAIN", "username": "x", "password": "y"},
                }
            },
            "log.kafka.sasl",
        ),
        ({"routes.chat.record": {"sample": "5%"}}, "routes.chat.record.sample"),
        (
            {"routes.chat.record": {"payload": "full", "sample": "5%"}},
            "routes.chat.record.sample",
        ),
        ({"routes.chat.record": {"payload": "none", "max": "1KiB"}}, "routes.chat.record.max"),
        ({"routes.chat.record": {"predictions": "/y", "max": "1KiB"}}, ""),
        ({"routes.chat.record": {"payload": "sampled", "sample": "5%"}}, ""),
        (
            {"routes.chat.record": {"redact": {"pointers": [""]}}},
            "routes.chat.record.redact.pointers[0]",
        ),
        (
            {"routes.chat.record": {"redact": {"headers": ["x-a"]}}},
            "routes.chat.record.redact.headers[0]",
        ),
    ],
)
def test_what_is_probably_not_meant_is_doubtful(changes: dict[str, Any], path: str) -> None:
    secrets = ("key", "password", "old_keys[0]")  # those that stand in the file are told as well
    told = [one for one in warnings_of(changes) if not one.endswith(secrets)]
    assert [one for one in told if one.startswith(("log", "routes.chat"))] == (
        [path] if path else []
    )


def test_secrets_of_the_log_are_better_in_the_environment() -> None:
    sasl = {"username": "x", "password": "literal"}
    changes = {
        "log.encryption": {"key": KEY, "old_keys": [OTHER_KEY]},
        "log.kafka": {**KAFKA, "sasl": sasl},
        "log.objects": {"url": "s3://bucket", "key": "k", "secret": "s"},
    }
    assert set(warnings_of(changes)) >= {
        "log.encryption.key",
        "log.encryption.old_keys[0]",
        "log.kafka.sasl.password",
        "log.objects.key",
        "log.objects.secret",
    }


def test_message_about_a_key_does_not_hold_it() -> None:
    [message] = problems_of({"log.encryption": {"key": "hunter2hunter2"}}).values()
    assert "hunter2" not in message


def test_file_that_cannot_be_read_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite may run as root, who may read everything."""
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    monkeypatch.setattr("os.access", lambda *_: False)
    found = problems_of({"log.kafka": {**KAFKA, "tls": {"ca": str(ca)}}})
    assert found == {"log.kafka.tls.ca": f"the file `{ca}` cannot be read"}


def test_certificate_of_a_client_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("x")
    found = problems_of({"log.kafka": {**KAFKA, "tls": {"certificate": str(tmp_path / "c.pem")}}})
    assert found == {"log.kafka.tls": "`certificate` and `key` are needed together"}


@pytest.mark.parametrize(
    "changes, path, package, extra",
    [
        ({"log.encryption": {"key": KEY}}, "log.encryption", "cryptography", "encryption"),
        ({"log.kafka": KAFKA}, "log.kafka", "aiokafka", "kafka"),
        (
            {"routes.chat.record": {"redact": {"patterns": ["secrets", "phone"]}}},
            "routes.chat.record.redact.patterns[1]",
            "phonenumbers",
            "redaction",
        ),
    ],
)
def test_package_that_is_missing_is_named_with_its_extra(
    changes: dict[str, Any],
    path: str,
    package: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_relations, "find_spec", lambda name: None)
    message = f"`{package}` is not installed; run `pip install 'inference-gateway[{extra}]'`"
    assert problems_of(changes) == {path: message}


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api_key",
        "x-goog-api-key",
        "x-amz-security-token",
        "ocp-apim-subscription-key",
        "x-csrf-token",
        "x-client-secret",
        "x-session-id",
        "x-auth",
        "authentication-info",
    ],
)
def test_header_that_carries_credentials_is_known(name: str) -> None:
    assert is_credential_header(name)


@pytest.mark.parametrize(
    "name",
    [
        "x-author",
        "x-authors",
        "idempotency-key",
        "content-type",
        "user-agent",
        "x-team",
        "x-key-id",
    ],
)
def test_header_that_only_sounds_like_it_is_not(name: str) -> None:
    assert not is_credential_header(name)
