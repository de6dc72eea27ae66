"""The same questions to a real MLflow server: one from the cache of peers, if it is there.

To have it: `python -m venv ~/.cache/inference-gateway/peers/mlflow` and, with that one's pip,
`pip install mlflow`. Its start takes some ten seconds, so: RUN_SLOW=1.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.recording import MlflowModel
from gateway.registry.mlflow import ask_mlflow
from gateway.registry.registration import RegistryError

PROGRAM = Path.home() / ".cache/inference-gateway/peers/mlflow/bin/mlflow"
START_S = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not os.environ.get("RUN_SLOW"), reason="starts MLflow: RUN_SLOW=1"),
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"there is no MLflow at {PROGRAM}"),
]


class Server:
    """Calls of its API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, method: str = "POST", **members: object) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}",
            json.dumps(members).encode(),
            {"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def train(self, auc: float) -> str:
        """A run with what one logs; its id."""
        run = self.call("runs/create", experiment_id="0", start_time=1_790_000_000_000)
        name = str(run["run"]["info"]["run_id"])
        self.call("runs/log-metric", run_id=name, key="auc", value=auc, timestamp=1)
        self.call("runs/log-parameter", run_id=name, key="depth", value="6")
        dataset = {"name": "payments", "digest": "9f2c", "source_type": "s3", "source": "{}"}
        self.call("runs/log-inputs", run_id=name, datasets=[{"dataset": dataset, "tags": []}])
        self.call("runs/update", run_id=name, status="FINISHED", end_time=1_790_000_100_000)
        return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{place}/store.db", "--default-artifact-root"]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, "server", *listen, *store, str(place / "artifacts")],
            stdout=log,
            stderr=log,
            cwd=place,
            start_new_session=True,
        )
    try:
        yield ready(f"http://127.0.0.1:{port}", process, place / "log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ready(url: str, process: subprocess.Popen[bytes], log: Path) -> Server:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return Server(url)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_versions_behind_aliases_are_told(server: Server) -> None:
    server.call("registered-models/create", name="fraud")
    runs = [server.train(auc) for auc in (0.91, 0.97)]
    for run in runs:
        server.call("model-versions/create", name="fraud", source=f"runs:/{run}/m", run_id=run)
    for alias, version in (("champion", "1"), ("challenger", "2")):
        server.call("registered-models/alias", name="fraud", alias=alias, version=version)
    found = ask_mlflow(MlflowModel(url=server.url, name="fraud", alias="challenger"))
    assert (found.version, found.run, found.metrics) == ("2", runs[1], {"auc": 0.97})
    assert found.aliases == {"champion": "1", "challenger": "2"}
    assert (found.data, found.params) == (("payments (9f2c)",), {"depth": "6"})
    assert found.trained_at == "2026-09-21T14:15:00Z"
    by_number = ask_mlflow(MlflowModel(url=server.url, name="fraud", version="1"))
    assert (by_number.run, by_number.metrics) == (runs[0], {"auc": 0.91})


def test_unknown_names_are_said(server: Server) -> None:
    for name, alias in (("fraud", "nobody"), ("nothing", "champion")):
        with pytest.raises(RegistryError, match=f"has no model `{name}` with the alias"):
            ask_mlflow(MlflowModel(url=server.url, name=name, alias=alias))
    with pytest.raises(RegistryError, match="has no model `fraud` version `99`"):
        ask_mlflow(MlflowModel(url=server.url, name="fraud", version="99"))
