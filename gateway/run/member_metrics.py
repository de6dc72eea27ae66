"""Metrics of a member of the group that watches, on a port of its own.

    GET /metrics   as the admin port's: the members' own table, the process, the version
    GET /livez     200 while the loop turns

Nothing of it is secret, but for how many records there are; there is no token. It is off unless
asked for: `gateway drift watch --metrics 127.0.0.1:9465`.

Rule: the label values are numbers of partitions and results of `Tally`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import socket
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import gateway
from gateway.control.metric_text import (
    OPENMETRICS,
    PROMETHEUS,
    Writer,
    braced,
    is_openmetrics_wanted,
)
from gateway.control.processes import usage_of
from gateway.errors import ConfigError, Problem
from gateway.run.asgi_server import AsgiServer
from gateway.sockets import tcp_sockets
from gateway.telemetry import MEMBER_METRICS, PROCESS_METRICS, WHOLE_METRICS, Metric
from gateway.watch.group.status import Spans
from gateway.watch.group.watcher import Watcher
from gateway.watch.tally import RESULTS

BACKLOG = 16
MINUTE_S = 60
PROCESS = "watch"
MOST_PORT = 65535

Series = Mapping[tuple[str, ...], float]

_BUILD = next(metric for metric in WHOLE_METRICS if metric.source == "build")


def render(watcher: Watcher, *, is_openmetrics: bool = False) -> str:
    """The whole text."""
    out = Writer(is_openmetrics=is_openmetrics)
    figures = _figures(watcher)
    for metric in MEMBER_METRICS:
        if metric.kind == "histogram":
            _write_spans(out, metric, watcher.member.status.flushes)
        else:
            _write(out, metric, figures[metric.source])
    if usage := usage_of(os.getpid()):
        for metric in PROCESS_METRICS:
            _write(out, metric, {(PROCESS,): getattr(usage, metric.source)})
    _write(out, _BUILD, {(gateway.__version__, platform.python_version()): 1})
    return out.text()


def _figures(watcher: Watcher) -> dict[str, Series]:
    """Series by the source of their metric; one without a value has no series."""
    member, bases = watcher.member, watcher.bases
    status, until = member.status, watcher.watermark
    wrong = [*filter(None, (status.sentence, watcher.sentence)), *bases.problems]
    return {
        # Why all of them: a series that is there as 0 lets `increase()` see its first line.
        "results": {(result,): status.results[result] for result in RESULTS},
        "missed": {(): status.missed},
        "lags": {(str(partition),): lag for partition, lag in sorted(status.lags.items())},
        "partitions": {(): len(status.partitions)},
        "of": {(): status.of},
        "rebalances": {(): status.rebalances},
        "fenced": {(): status.fenced},
        "failed_flushes": {(): status.failed_flushes},
        "leads": {(): int(member.leads)},
        "looks": {(): watcher.looks},
        "looked_at_s": {(): watcher.looked_at_s} if watcher.looks else {},
        "data_until_s": {(): until * MINUTE_S} if until else {},
        "learning": {(): len(bases.learning)},
        "problems": {(): len(wrong)},
    }


def _write(out: Writer, metric: Metric, series: Series) -> None:
    out.samples(metric, ((braced(metric.labels, key), value) for key, value in series.items()))


def _write_spans(out: Writer, metric: Metric, spans: Spans) -> None:
    if not spans.count:
        return
    out.head(metric)
    counts = zip((*map(repr, metric.bounds_s), "+Inf"), (*spans.within, spans.count), strict=True)
    out.lines += [f'{metric.name}_bucket{{le="{bound}"}} {count}\n' for bound, count in counts]
    out.lines += [f"{metric.name}_sum {spans.total_s!r}\n", f"{metric.name}_count {spans.count}\n"]


def listening_on(address: str) -> list[socket.socket]:
    """Sockets on HOST:PORT; ConfigError, ListenError where there can be none."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > MOST_PORT:
        sentence = f"--metrics wants HOST:PORT such as 127.0.0.1:9465, not `{address}`"
        raise ConfigError((Problem(sentence),))
    return tcp_sockets(host.strip("[]") or "127.0.0.1", int(port), BACKLOG, 1)


@contextlib.asynccontextmanager
async def served(watcher: Watcher, listeners: list[socket.socket]) -> AsyncIterator[None]:
    """Answer while the body runs; nothing where there is no socket."""
    if not listeners:
        yield
        return
    server = AsgiServer(_app(watcher))
    task = asyncio.create_task(server.serve(listeners))
    try:
        yield
    finally:
        server.end()
        await task


def _app(watcher: Watcher) -> Starlette:
    async def metrics(request: Request) -> Response:
        is_openmetrics = is_openmetrics_wanted(request.headers.get("accept", ""))
        text = render(watcher, is_openmetrics=is_openmetrics)
        return Response(text, media_type=OPENMETRICS if is_openmetrics else PROMETHEUS)

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(routes=[Route("/metrics", metrics), Route("/livez", alive)])
