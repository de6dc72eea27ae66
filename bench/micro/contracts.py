"""A contract on a request of 380 bytes with eight rows. Budget: 2 µs for a good one.

Beside it, on the same body: decoding alone, and the JSON Schema that says the same, by the
libraries that people use (STATISTICS: orjson 1.2 µs, jsonschema-rs 3.0, fastjsonschema 9.8,
jsonschema 163).
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from bench.micro.timing import report
from gateway.config.watching import Contract
from gateway.contracts.checker import Checker

FIELDS: dict[str, Any] = {
    "amount": {"type": "number", "min": 0, "max": 100_000, "default": 0},
    "currency": {"type": "text", "categories": ["EUR", "USD", "GBP"]},
    "years": {"type": "integer", "min": 0, "max": 130},
}
ROW = {"amount": 12.25, "currency": "EUR", "years": 41}
ROWS = [ROW | {"amount": 12.25 + at, "years": 41 + at} for at in range(8)]
ROW_SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0, "maximum": 100_000},
        "currency": {"type": "string", "enum": ["EUR", "USD", "GBP"]},
        "years": {"type": "integer", "minimum": 0, "maximum": 130},
    },
    "required": ["amount", "currency", "years"],
    "additionalProperties": False,
}
SCHEMA = {"type": "array", "items": ROW_SCHEMA}
# The same, said in a way that no type of msgspec's has: jsonschema-rs decides.
OTHER_SCHEMA = {"type": "array", "items": {**ROW_SCHEMA, "minProperties": 3}}
WHOLE = {"type": "object", "properties": {"instances": SCHEMA}, "required": ["instances"]}


def checker(action: str = "reject", protocol: str = "http", **side: Any) -> Checker:
    made = msgspec.convert(
        {"input": {"at": "/instances", **side}, "on_violation": action},
        Contract,
        strict=False,
        dec_hook=lambda kind, value: kind.parse(value),
    )
    return Checker(made, "input", protocol)


def body_of(rows: Any, at: str = "instances") -> bytes:
    return json.dumps({at: rows}, separators=(",", ":")).encode()


def tensors() -> bytes:
    kinds = {"amount": "FP64", "currency": "BYTES", "years": "INT64"}
    made = [
        {"name": name, "shape": [8], "datatype": kind, "data": [row[name] for row in ROWS]}
        for name, kind in kinds.items()
    ]
    return body_of(made, "inputs")


def time(name: str, call: Callable[[bytes], Any], body: bytes, operations: int = 50_000) -> None:
    def run(count: int) -> None:
        for _ in range(count):
            call(body)

    report(f"contracts/{name}", run, operations)


def ours(body: bytes) -> None:
    wrong = body_of([*ROWS[:7], ROW | {"amount": "x"}])
    pattern = {**FIELDS, "currency": {"type": "text", "pattern": "[A-Z]{3}"}}
    time("fields", checker(fields=FIELDS).check, body)
    time("condition", checker(fields=FIELDS, rules=["years < amount + 1000"]).check, body, 20_000)
    time("pattern", checker(fields=pattern).check, body, 20_000)
    time("tensors", checker(fields=FIELDS, protocol="kserve", at="").check, tensors(), 20_000)
    time("schema", checker(schema=SCHEMA).check, body)
    time("other_schema", checker(schema=OTHER_SCHEMA).check, body, 20_000)
    time("refused", checker(fields=FIELDS).check, wrong, 5_000)
    time("repaired", checker("repair", fields=FIELDS).check, wrong, 5_000)


def others(body: bytes) -> None:
    import jsonschema  # noqa: PLC0415
    import jsonschema_rs  # noqa: PLC0415

    is_valid = jsonschema_rs.validator_for(WHOLE).is_valid
    reference = jsonschema.Draft202012Validator(WHOLE)
    time("peer_orjson_alone", orjson.loads, body)
    time("peer_msgspec_untyped", msgspec.json.decode, body)
    time("peer_jsonschema_rs", lambda data: is_valid(orjson.loads(data)), body, 20_000)
    time("peer_jsonschema", lambda data: reference.is_valid(orjson.loads(data)), body, 500)


if __name__ == "__main__":
    good = body_of(ROWS)
    others(good)
    ours(good)
