"""`gateway drift domain`: whether a model can tell recorded rows from those of the training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Raw

from gateway.cli.columns import columns
from gateway.cli.log_search import filter_of, store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.errors import ConfigError, Problem

HEAD, RIGHT = ("FIELD", "SHARE OF THE AREA"), "SHARE OF THE AREA"


class _Line(msgspec.Struct):
    features: Raw = Raw(b"null")


def domain(
    route: Annotated[str, typer.Argument(help="Whose inputs.")],
    reference: Annotated[Path, typer.Option("--reference", help="CSV or Parquet of the training.")],
    current: Annotated[
        Path | None, typer.Option("--current", help="CSV or Parquet; default: recorded traffic.")
    ] = None,
    last: Annotated[
        str, typer.Option("--last", help="Of recorded traffic: such as 6h, 7d.")
    ] = "7d",
    limit: Annotated[int, typer.Option(min=100, max=100_000, help="Most records.")] = 10_000,
    alpha: Annotated[float, typer.Option(min=1e-9, max=0.5, help="Chance of being wrong.")] = 0.01,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Print whether rows of now can be told from those of a file, and by which fields.

    It sees fields that changed together though each is as it was. It needs the extra `drift`.
    """
    from gateway.drift.domain_classifier import separated  # noqa: PLC0415  scipy takes a while
    from gateway.profiles.reference import columns_of  # noqa: PLC0415  as above

    then = {name: values.tolist() for name, values in columns_of(reference).items()}
    if current is None:
        now = _recorded(route, last, limit, config, state)
    else:
        now = {name: values.tolist() for name, values in columns_of(current).items()}
    found = separated(then, now, alpha=alpha)
    auc = found.auc
    said = "can be told from" if found.is_drift else "cannot be told from"
    print(
        f"Rows of {route} {said} those of {reference.name}: area {auc.value:.3f}"
        f" ({auc.low:.3f} to {auc.high:.3f}; by chance 0.5), p {found.p:.2g}, of {auc.n:,} rows"
    )
    print(columns(HEAD, [(name, f"{lost:.3f}") for name, lost in found.fields], RIGHT))


def _recorded(
    route: str, last: str, limit: int, config: Path, state: Path | None
) -> dict[str, list[Any]]:
    from gateway.profiles.recorded import rows_of  # noqa: PLC0415  numpy takes a while

    lists = ("backend", "model", "version", "user", "outcome", "status", "feedback")
    nothing: dict[str, Any] = {"until": "", "min_cost": None, "min_latency": "", "text": ""}
    wanted = filter_of(
        **dict.fromkeys(lists), **nothing, route=[route], kind=["prediction"], since=last
    )
    found = store_of(config, state).search(wanted, limit=limit)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    rows = [
        row
        for match in found.matches
        for row in rows_of(msgspec.json.decode(_line(match.line).features))
    ]
    if not rows:
        sentence = f"no record of `{route}` of the last {last} has features"
        raise ConfigError((Problem(sentence),))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _line(data: bytes) -> _Line:
    try:
        return msgspec.json.decode(data, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Line()
