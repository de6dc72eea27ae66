"""A small stand-in for an MLflow server: answers from a table, and can misbehave."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

VERSION = {
    "name": "fraud",
    "version": "7",
    "creation_timestamp": 1_790_000_000_000,
    "user_id": "ada",
    "run_id": "run1",
    "description": "",
    "aliases": ["champion"],
    "current_stage": "None",
}
RUN = {
    "info": {"run_id": "run1", "end_time": 1_790_000_100_000, "status": "FINISHED"},
    "data": {
        "metrics": [
            {"key": "auc", "value": 0.97, "step": 0},
            {"key": "loss", "value": "NaN"},
        ],
        "params": [{"key": "depth", "value": "6"}],
    },
    "inputs": {
        "dataset_inputs": [{"dataset": {"name": "payments", "digest": "9f2c", "source": "s3://x"}}]
    },
}
ALIASES = [{"alias": "champion", "version": "7"}, {"alias": "challenger", "version": "8"}]


class StandIn:
    """Serves while it is entered; gives its URL."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "registered-models/alias": {"model_version": VERSION},
            "model-versions/get": {"model_version": VERSION},
            "registered-models/get": {"registered_model": {"name": "fraud", "aliases": ALIASES}},
            "runs/get": {"run": RUN},
        } | {name.replace("__", "/").replace("_", "-"): a for name, a in answers.items()}
        self.status: dict[str, int] = {}  # by path; default 200
        self.drip_s = 0.0  # pause before each byte of a body
        self.asked: list[tuple[str, dict[str, str], str]] = []  # path, query, authorization
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/base"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answering(stand_in: StandIn) -> type[http.server.BaseHTTPRequestHandler]:
    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            path = place.path.removeprefix("/base/api/2.0/mlflow/")
            query = dict(parse_qsl(place.query))
            stand_in.asked.append((path, query, self.headers.get("authorization", "")))
            answer = stand_in.answers.get(path)
            status = stand_in.status.get(path, 200 if answer is not None else 404)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            try:
                for at in range(0, len(content), 1 if stand_in.drip_s else len(content) or 1):
                    time.sleep(stand_in.drip_s)
                    self.wfile.write(content[at : at + 1] if stand_in.drip_s else content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Answering
