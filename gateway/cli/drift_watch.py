"""`gateway drift watch`: a member of the consumer group that counts the records on Kafka."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from gateway.cli.admin import DEFAULT_URL
from gateway.cli.log_search import place_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED

Admin = Annotated[
    str,
    typer.Option(
        "--admin",
        envvar="GATEWAY_ADMIN_URL",
        help="Admin port of the gateway that is told what is found; '' tells nobody.",
    ),
]

Metrics = Annotated[
    str,
    typer.Option(
        "--metrics",
        metavar="HOST:PORT",
        envvar="GATEWAY_WATCH_METRICS",
        help="Where this member's metrics are served, at /metrics; by default nowhere.",
    ),
]


def watch(
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    admin: Admin = DEFAULT_URL,
    metrics: Metrics = "",
) -> None:
    """Count the records on Kafka, as one of a group; one of its members makes the looks.

    For `drift.consumer.source: kafka`. Start as many as there is work for, on any hosts, with the
    same configuration; each partition is counted by one of them, each record once, whoever is
    killed. SIGTERM and Ctrl-C end it in good order.
    """
    from gateway.config.document import load  # noqa: PLC0415  slow to import

    try:
        from gateway.run import watch as process  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        print(
            f"gateway: {error.name} is missing: pip install inference-gateway[kafka]",
            file=sys.stderr,
        )
        raise typer.Exit(FAILED) from None
    process.watch(
        load(config, os.environ).config,
        place_of(config, state),
        admin,
        os.environ,
        _say,
        metrics,
    )


def _say(line: str) -> None:
    print(f"watch: {line}", file=sys.stderr, flush=True)
