"""A gateway whose prediction log goes to Kafka: its settings, and what it says of its log.

The admin port may be away, or end in the middle of an answer: then nothing is known.
"""

from __future__ import annotations

import json
import re
from http.client import HTTPException
from typing import Any

from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend
from tests.support.gateway import GatewayProcess
from tests.support.openai_model import OpenAIModel
from tests.support.settings import (
    ANY_METHOD,
    Settings,
    configuration,
    http_backend,
    openai_backend,
    route,
)
from tests.support.waiting import until

CATCH_UP_S = 120.0


def logged(
    make_backend: MakeBackend,
    log: Settings,
    *,
    payload: str = "digest",
    workers: int = 2,
    model: OpenAIModel | None = None,
) -> Settings:
    """A gateway with a model and an echo, and this prediction log."""
    backends = {
        "mini": openai_backend(make_backend("mini", plays(model or OpenAIModel("mini")))),
        "echo": http_backend(make_backend("echo", plays(echo))),
    }
    routes = {
        "chat": route("mini", record={"payload": payload}),
        "echo": route("echo", match=[{"path": "/echo*", "methods": ANY_METHOD}]),
    }
    return configuration(backends, routes, workers=workers, log=log)


def kafka_log(
    bootstrap: str, topic: str, *, kafka: Settings | None = None, **more: Any
) -> Settings:
    """Segments that are short, so that many of them come and go."""
    sink: Settings = {
        "bootstrap": [bootstrap],
        "topic": topic,
        "feedback_topic": f"{topic}-feedback",
        "timeout": "5s",
        "create": {"partitions": 3},
    }
    sink = {**sink, **(kafka or {})}
    wanted = {name: value for name, value in sink.items() if value is not None}
    return {"segment": {"size": "1MiB", "age": "2s"}, "kafka": wanted, **more}


def told(gateway: GatewayProcess, path: str, *more: Any) -> dict[str, Any]:
    """The admin port's answer; {} where it has none, or an error."""
    try:
        status, body = gateway.admin(path, *more)
        answer: dict[str, Any] = json.loads(body) if status < 300 else {}
    except (OSError, HTTPException, ValueError):
        return {}
    return answer


def figures_of(gateway: GatewayProcess) -> dict[str, Any] | None:
    """What the shipper says of itself; None while it does not run, or nobody knows."""
    figures: dict[str, Any] | None = told(gateway, "/api/v1/log").get("figures")
    return figures


def sentence_of(gateway: GatewayProcess) -> str:
    """How the log is, in words."""
    sentence: str = told(gateway, "/api/v1/log").get("sentence", "")
    return sentence


def metric(gateway: GatewayProcess, name: str, labels: str = "") -> float:
    """One value of /metrics; 0 where it is not there."""
    text = gateway.admin("/metrics")[1].decode()
    found = re.search(rf"^{re.escape(name + labels)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def await_delivery(gateway: GatewayProcess) -> None:
    """Return when every sink has everything that the workers have written."""

    def is_delivered() -> bool:
        figures = figures_of(gateway)
        # Why the workers' count: what the shipper says is a second old, or more on full cores.
        return (
            figures is not None
            and figures["appended"] >= metric(gateway, "gateway_records_total")
            and not any(sink["waiting"] or sink["error"] for sink in figures["sinks"])
        )

    until(is_delivered, CATCH_UP_S, lambda: sentence_of(gateway) + gateway.log()[-3000:])
