"""Payloads at rest; the format is checked against cryptography's own HKDF."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.messages import Payload, Record, Timing
from gateway.payloads import (
    Keyring,
    PayloadError,
    bound_to,
    decrypt_payload,
    decrypt_record,
    encryption,
    key_of,
)
from gateway.payloads.encryption import Sealer, is_sealed, key_id_of
from tests.payloads.canaries import JSON, redactor

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
BODY = b'{"model":"chat","n":1}'


def sealed_record(**payload: Any) -> Record:
    made = redactor(KEY, features="/n", predictions="/model", redact_patterns=())
    line = made.payload(BODY, JSON, len(BODY), True, bound_to("r1", "request"))
    features = made.features(BODY, bound_to("r1", "features"))
    predictions = made.predictions(BODY, bound_to("r1", "predictions"))
    assert features is not None
    assert predictions is not None
    return Record(
        v=1,
        id="r1",
        request_id="r1",
        time="",
        kind="prediction",
        gateway="g",
        worker=0,
        stream="s",
        seq=1,
        plan="p",
        outcome="",
        status=200,
        timing=Timing(total_us=1),
        request=msgspec.json.decode(line, type=Payload),
        response=Payload(bytes=3),
        features=msgspec.Raw(features),
        predictions=msgspec.Raw(predictions),
    )


def test_payload_is_read_back() -> None:
    line = redactor(KEY).payload(BODY, JSON, len(BODY), True)
    assert b"chat" not in line
    payload = msgspec.json.decode(line, type=Payload)
    assert (payload.type, payload.bytes, payload.xxh3) == ("encrypted", len(BODY), "")
    opened = decrypt_payload(payload, Keyring([OTHER, KEY]))
    assert opened.type == "json"
    assert bytes(opened.body) == BODY  # type: ignore[arg-type]


def test_payload_that_was_not_sealed_stays() -> None:
    payload = Payload(bytes=1, type="text", body=msgspec.Raw(b'"x"'))
    assert decrypt_payload(payload, Keyring([KEY])) is payload
    assert decrypt_payload(Payload(bytes=0), Keyring([])).bytes == 0


def test_empty_body_is_not_sealed() -> None:
    assert json.loads(redactor(KEY).payload(b"", JSON, 0, True)) == {"bytes": 0}


def test_record_is_read_back() -> None:
    record = decrypt_record(sealed_record(), Keyring([KEY]))
    assert bytes(record.request.body) == BODY  # type: ignore[arg-type]
    assert bytes(record.features) == b"1"  # type: ignore[arg-type]
    assert bytes(record.predictions) == b'"chat"'  # type: ignore[arg-type]
    assert record.response == Payload(bytes=3)
    assert decrypt_record(record, Keyring([])) == record


def test_payload_cannot_be_read_in_another_record_or_place() -> None:
    record = sealed_record()
    moved = msgspec.structs.replace(record, id="r2")
    swapped = msgspec.structs.replace(record, response=record.request, request=Payload(bytes=0))
    for changed in (moved, swapped):
        with pytest.raises(PayloadError, match="belongs to another record"):
            decrypt_record(changed, Keyring([KEY]))


def test_what_is_bound_to_nothing_is_read_anywhere() -> None:
    sealed = Sealer(KEY).seal(b"x")
    assert Keyring([KEY]).open(sealed, b"anything") == b"x"


def test_sealed_text_is_what_its_format_says() -> None:
    form, key_id, *rest = Sealer(KEY).seal(b"plain", b"bound").split(".")
    salt, nonce, data = (base64.urlsafe_b64decode(one + "==") for one in rest)
    assert (form, key_id) == ("gcm1b", key_id_of(KEY))
    derived = HKDF(hashes.SHA256(), 32, salt, b"gateway payload").derive(KEY)
    assert AESGCM(derived).decrypt(nonce, data, b"bound") == b"plain"


def test_no_nonce_and_no_salt_come_twice() -> None:
    one, two = Sealer(KEY), Sealer(KEY)
    sealed = [maker.seal(b"x") for maker in (one, two) for _ in range(50)]
    assert len({text.split(".", 2)[2].rpartition(".")[0] for text in sealed}) == 100
    assert len({text.split(".")[2] for text in sealed}) == 2


def test_any_change_is_noticed() -> None:
    sealed = Sealer(KEY).seal(b"a plain text")
    keys = Keyring([KEY])
    for at in range(len(sealed)):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        try:
            assert keys.open(changed) == b"a plain text"  # unused bits of base64
        except PayloadError:
            continue
        assert at in {
            len(sealed) - 1,
            sealed.rfind(".") - 1,
            len(".".join(sealed.split(".")[:3])) - 1,
        }


@pytest.mark.parametrize("text", ["", "gcm1", "gcm9.a.b.c.d", "gcm1.a.b.c", "plain text"])
def test_other_texts_are_no_sealed_ones(text: str) -> None:
    with pytest.raises(PayloadError):
        Keyring([KEY]).open(text)


def test_damage_and_unknown_keys_are_told_apart() -> None:
    sealed = Sealer(KEY).seal(b"x")
    with pytest.raises(PayloadError, match=f"the key {key_id_of(KEY)} .* is not configured"):
        Keyring([OTHER]).open(sealed)
    with pytest.raises(PayloadError, match="is damaged"):
        Keyring([KEY]).open(sealed + "*")


def test_key_is_32_bytes_in_base64() -> None:
    assert key_of(base64.b64encode(KEY).decode()) == KEY
    for wrong in ("", "aGVsbG8=", "%" * 44):
        with pytest.raises(PayloadError):
            key_of(wrong)
    with pytest.raises(PayloadError):
        Sealer(b"short")


def test_sealed_values_are_known() -> None:
    assert is_sealed(msgspec.json.encode(Sealer(KEY).seal(b"x")))
    assert is_sealed(msgspec.json.encode(Sealer(KEY).seal(b"x", b"b")))
    assert not is_sealed(b'"text"')


def test_key_does_not_show() -> None:
    for one in (Sealer(KEY), Keyring([KEY])):
        assert "\\x01\\x02" not in repr(one)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    encryption._library.cache_clear()
    with pytest.raises(PayloadError, match=r"inference-gateway\[encryption\]"):
        Sealer(KEY)
