"""Metrics as text: Prometheus text 0.0.4, and OpenMetrics 1.0 for whoever asks for it.

Rule: a family is written whole or not at all, HELP and TYPE first.
Knows nothing of figures: `exposition` and `run.member_metrics` have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.telemetry import Metric

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Sample = tuple[str, int | float]  # labels in braces, value


class Writer:
    """Collects lines in one of the two forms."""

    def __init__(self, *, is_openmetrics: bool) -> None:
        self.is_openmetrics = is_openmetrics
        self.lines: list[str] = []

    def head(self, metric: Metric) -> None:
        name = metric.name
        if self.is_openmetrics and metric.kind == "counter":
            name = name.removesuffix("_total")
        self.lines.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n")

    def samples(self, metric: Metric, samples: Iterable[Sample]) -> None:
        scale, name = metric.scale, metric.name
        lines = [f"{name}{labels} {value * scale!r}\n" for labels, value in samples]
        if lines:
            self.head(metric)
            self.lines += lines

    def text(self) -> str:
        return "".join(self.lines) + ("# EOF\n" if self.is_openmetrics else "")


def is_openmetrics_wanted(accept: str) -> bool:
    """Whether the Accept header names OpenMetrics, as Prometheus' own does."""
    wanted = OPENMETRICS.partition(";")[0]
    return any(part.partition(";")[0].strip() == wanted for part in accept.split(","))


def braced(names: Sequence[str], values: Sequence[str]) -> str:
    """`{a="x",b="y"}`; nothing if there are no labels."""
    if not names:
        return ""
    return "{" + ",".join(f'{n}="{quoted(v)}"' for n, v in zip(names, values, strict=True)) + "}"


def quoted(value: str) -> str:
    """A label's value, escaped."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
