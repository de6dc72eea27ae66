"""JSON Schemas of others: nothing is fetched for them, and no pattern takes for ever."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.config.json_schema import fault_of, validator_of


def test_values_are_judged() -> None:
    validator = validator_of({"type": "object", "required": ["a"]})
    assert validator.is_valid({"a": 1})
    assert not validator.is_valid({})


@pytest.mark.parametrize("schema", [{"type": "nothing"}, 7, {"pattern": "("}])
def test_what_is_no_schema_is_told(schema: object) -> None:
    assert fault_of(schema).startswith("this is no JSON Schema: ")
    assert fault_of({"type": "object"}) == ""


def test_no_address_is_asked_for_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        assert "not fetched" in fault_of({"$ref": f"http://127.0.0.1:{port}/x.json"})
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_file_is_read_for_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text("{}")
    assert "not fetched" in fault_of({"$ref": path.as_uri()})


def test_references_within_a_schema_are_followed() -> None:
    validator = validator_of({"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}})
    assert validator.is_valid([1, 2.5])
    assert not validator.is_valid(["x"])
