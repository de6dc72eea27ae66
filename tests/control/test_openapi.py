"""The OpenAPI document: complete, and true to what is served."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from gateway.control.api import ENDPOINTS
from gateway.control.app import DeclaredRoute, create_app
from gateway.control.openapi import document, page
from tests.control.parts import FakeGateway

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document()))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_but_the_pages_is_in_the_document() -> None:
    app = create_app(FakeGateway().parts).app
    assert isinstance(app, Starlette)
    served = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, DeclaredRoute)
        for method in (route.methods or set()) - {"HEAD"}
    }
    pages = {(path, method) for path, method in served if path == "/" or "/static/" in path}
    own = {("/api/v1/openapi.json", "get")}
    assert {(path, method) for path, method, _ in operations()} == served - pages - own


@pytest.mark.parametrize("path,method,operation", operations())
def test_operation_is_described(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"].endswith(".")
    assert operation["x-role"] in {"public", "read", "operate"}
    assert (operation.get("security") == []) == (operation["x-role"] == "public")
    content = next(iter(operation["responses"].values()))["content"]
    assert next(iter(content.values()))["schema"]
    assert "default" in operation["responses"]
    wanted = set(re.findall(r"\{(\w+)\}", path))
    assert wanted <= {parameter["name"] for parameter in operation.get("parameters", [])}
    assert method in {"get", "put", "post"}


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) == known


def test_answers_hold_the_fields_that_the_document_names() -> None:
    client = FakeGateway().client()
    schemas = DOCUMENT["components"]["schemas"]
    assert set(client.get("/api/v1/status").json()) == set(schemas["Status"]["properties"])
    backend = client.get("/api/v1/backends").json()[0]
    assert set(backend) == set(schemas["BackendView"]["properties"])


def test_document_is_served() -> None:
    assert FakeGateway().client().get("/api/v1/openapi.json").json() == DOCUMENT


def test_page_is_what_the_table_prints() -> None:
    found = (ROOT / "docs/api.md").read_text("utf-8")
    assert found == page(), "run `python -m gateway.control.openapi > docs/api.md`"


def test_page_names_every_path() -> None:
    assert all(f"`{endpoint.path}`" in page() for endpoint in ENDPOINTS)
