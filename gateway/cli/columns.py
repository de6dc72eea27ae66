"""Figures as words and tables as aligned text, for the verbs that print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NONE = "-"
# Heads of columns that `latency` fills.
FIRST_BYTE, TOTAL = "FIRST-p50/p95", "TOTAL-p50/p95"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """The table as lines; `right` names the columns that are aligned right, space separated."""
    to_the_right = {name for name in head if name in right.split()}
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if name in to_the_right else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ).rstrip()
        for row in table
    )
    return "\n".join(lines)


def rate(per_s: float) -> str:
    return f"{per_s:.1f}" if per_s < 10 else f"{per_s:.0f}"


def share(part: float | None) -> str:
    return NONE if part is None else f"{100 * part:.1f}%"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    if value < 0.001:
        return f"{value * 1e6:.0f}us"
    return f"{value * 1e3:.0f}ms" if value < 1 else f"{value:.2f}s"


def latency(quantiles: dict[str, Any]) -> str:
    """`p50/p95`."""
    if quantiles["p50_s"] is None:
        return NONE
    return f"{seconds(quantiles['p50_s'])}/{seconds(quantiles['p95_s'])}"


def usd(value: float | None) -> str:
    if value is None:
        return NONE
    return f"${value:.2f}" if value == 0 or value >= 0.01 else f"${value:.2g}"


def age(value_s: float) -> str:
    if value_s < 60:
        return f"{value_s:.0f}s"
    if value_s < 3600:
        return f"{value_s // 60:.0f}m"
    if value_s < 172_800:
        return f"{value_s // 3600:.0f}h{value_s % 3600 // 60:.0f}m"
    return f"{value_s // 86_400:.0f}d"
