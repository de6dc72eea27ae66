"""An explanation from the state directory alone, whether a gateway runs or not."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UnsetType
from msgspec.structs import replace

from gateway.config import load
from gateway.config.document import state_directory
from gateway.errors import ConfigError
from gateway.explanation.archive import lookup_in
from gateway.explanation.page import SEALED, page
from gateway.messages import Payload, Record


def explain_offline(
    request_id: str, config: Path, state: Path | None, *, as_json: bool, payload: bool
) -> None:
    """Print what `gateway explain` prints; GatewayError where there is no such record."""
    lookup = lookup_in(state or state_directory(config, os.environ))
    found = lookup.explanation(request_id)
    record = _readable(lookup.record(request_id), config) if payload else None
    if record is not None and not isinstance(record.features, UnsetType):
        found = replace(found, asked=replace(found.asked, features=record.features))
    if record is not None and not isinstance(record.predictions, UnsetType):
        found = replace(found, predictions=record.predictions)
    if as_json:
        print(json.dumps(msgspec.to_builtins(found) | _bodies(record), indent=2))
        return
    print(page(found))
    if record is not None:
        print(_body("Request", record.request))
        print(_body("Answer", record.response))


def _readable(record: Record, config: Path) -> Record:
    """The record with its payloads decrypted, where they were encrypted."""
    from gateway.payloads import (  # noqa: PLC0415  slow to import
        Keyring,
        PayloadError,
        decrypt_record,
        key_of,
    )

    if not is_encrypted(record):
        return record
    try:
        encryption = load(config, os.environ).config.log.encryption
    except ConfigError as error:
        raise PayloadError(
            f"the bodies are encrypted, and {config}, which names the key, is not valid: "
            f"{error.problems[0]}"
        ) from None
    if encryption is None:
        raise PayloadError(f"the bodies are encrypted, and {config} names no key")
    keys = (encryption.key, *encryption.old_keys)
    return decrypt_record(record, Keyring(key_of(key.reveal()) for key in keys))


def is_encrypted(record: Record) -> bool:
    parts = [
        part for part in (record.features, record.predictions) if not isinstance(part, UnsetType)
    ]
    is_sealed = any(bytes(part).startswith(SEALED) for part in parts)
    return is_sealed or "encrypted" in {record.request.type, record.response.type}


def _bodies(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {}
    return {
        "request_body": _json_of(record.request),
        "response_body": _json_of(record.response),
    }


def _json_of(payload: Payload) -> Any:
    return None if payload.body is msgspec.UNSET else msgspec.json.decode(payload.body)


def _body(title: str, payload: Payload) -> str:
    """A body as text; what would move the cursor of a terminal is left out."""
    found = _json_of(payload)
    if found is None:
        text = "(not kept)"
    elif payload.type == "json":
        text = json.dumps(found, indent=2, ensure_ascii=False)
    elif payload.type == "base64":
        text = repr(base64.b64decode(found))
    else:
        text = str(found)
    shown = "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)
    return f"\n{title}\n{shown}"
