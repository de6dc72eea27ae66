"""`gateway drift infer`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway.cli import main
from tests.store.places import Place, record


def line(n: int, **more: object) -> bytes:
    plain = json.loads(record(n, route="fraud"))
    return json.dumps({**plain, **more}, separators=(",", ":")).encode()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.store.close()


def run(place: Place, *arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["drift", "infer", *arguments, "--state", str(place.state), "--since", "2020-01-01"])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_contract_is_proposed_from_the_store(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"type": "json", "bytes": 9, "body": {"instances": [{"amount": 5}]}}
    place.added(1, [line(n, request=body) for n in range(1, 5)])
    assert run(place, "fraud") == 0
    text = capsys.readouterr().out
    assert "# from 4 records, 4 rows" in text
    contract = yaml.safe_load(text)["routes"]["fraud"]["contract"]
    assert contract["input"] == {"at": "/instances", "fields": {"amount": "integer"}}
    assert contract["on_violation"] == "flag"


def test_store_without_the_route_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.added(1, [record(1)])
    assert run(place, "fraud") == 1
    assert "no record of the route `fraud` is in the store" in capsys.readouterr().err


def test_records_without_bodies_are_told_with_the_remedy(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.added(1, [line(1)])
    assert run(place, "fraud") == 1
    assert "none of 1 records of `fraud` holds inputs or answers" in capsys.readouterr().err
