"""The watch on the real processes: from requests to an alert, by nothing but a rule."""

from __future__ import annotations

import json
import random
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer, json_answer, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.script import Received
from tests.support.settings import http_backend
from tests.support.waiting import until

# Two minutes of the clock have to pass: of looks, one a minute is the quickest.
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

PATH = "/v1/models/fraud:predict"
COUNTRIES = ("DE", "FR", "IT")


def scores(_request: Received) -> Answer:
    return json_answer({"predictions": [{"score": 0.5}]})


def amounts(rng: random.Random, rows: int) -> list[float]:
    return [round(rng.lognormvariate(3.0, 0.6), 2) for _ in range(rows)]


def trained(folder: Path) -> Path:
    rng = random.Random(1)
    file = folder / "train.csv"
    rows = [f"{amount},{rng.choice(COUNTRIES)}" for amount in amounts(rng, 5_000)]
    file.write_text("\n".join(["amount,country", *rows]) + "\n")
    return file


def alerts(gateway: GatewayProcess) -> list[dict[str, Any]]:
    host, port = gateway.admin_address
    with urllib.request.urlopen(f"http://{host}:{port}/api/v1/alerts", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_upstream_that_writes_minus_one_is_alerted_of(
    make_backend: MakeBackend, make_process: MakeProcess, tmp_path: Path
) -> None:
    backend = make_backend("model", plays(scores))
    rule = {"reference": "train", "window": "1m", "every": "1m", "opens": 1, "of": 1}
    gateway = make_process(
        {
            "backends": {"model": http_backend(backend)},
            "routes": {"fraud": {"backends": ["model"], "record": {"features": "/instances"}}},
            "drift": {
                "references": {"train": {"kind": "training", "file": str(trained(tmp_path))}},
                "rules": {"inputs": rule},
                "alerts": {"group": "1s"},
            },
        }
    )
    rng = random.Random(2)

    def asked() -> bool:
        with gateway.connect() as client:
            for amount in amounts(rng, 100):
                country, value = rng.choice(COUNTRIES), amount if rng.random() < 0.7 else -1
                row = {"amount": value, "country": country}
                assert client.post_json(PATH, {"instances": [row]}).status == 200
        return bool(alerts(gateway))

    until(asked, 200)
    (alert,) = alerts(gateway)
    lead = alert["lead"]
    assert (lead["kind"], lead["field"]) == ("sentinel", "amount")
    assert lead["sentence"].startswith("`amount` is -1 in ")
    assert len(lead["requests"]) == 3
