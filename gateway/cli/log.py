"""`gateway log`: whether the prediction log is whole, and what its lines look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.cli import log_keeping, log_search
from gateway.cli.log_search import place_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED, verb_app
from gateway.log.names import DIRECTORY

if TYPE_CHECKING:
    from gateway.log.verify import Report, SegmentLines

app = verb_app(help="Check, search, export and prune the prediction log.")
app.add_typer(log_search.app)
app.add_typer(log_keeping.app)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("verify")
def verify_log(
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Compare every segment with the manifest, and the manifest with itself.

    Names the first broken link, in one sentence with its file and line, and exits with 1; exits
    with 0 where the log is as it was written. A running gateway is not disturbed.
    """
    from gateway.log.verify import verify  # noqa: PLC0415  slow to import

    place = place_of(config, state)
    directory = place / DIRECTORY
    report = verify(directory, _store(place))
    if as_json:
        print(json.dumps({"valid": report.is_good, **msgspec.to_builtins(report)}, indent=2))
    else:
        _print_report(directory, report)
    if not report.is_good:
        raise typer.Exit(FAILED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a line: a record, or feedback."""
    from gateway.log.schema import line_schema  # noqa: PLC0415  slow to import

    print(json.dumps(line_schema(), indent=2))


def _store(state: Path) -> SegmentLines | None:
    """The local store, where there is one."""
    from gateway.store import store  # noqa: PLC0415  DuckDB is slow to import

    if not (state / store.DIRECTORY).is_dir():
        return None
    return store.Store(state / store.DIRECTORY, state / DIRECTORY)


def _print_report(directory: Path, report: Report) -> None:
    if report.is_good:
        print(
            f"{directory} is as it was written: {_counted(report.records, 'record')} in "
            f"{_counted(report.segments, 'segment')}, {report.entries} lines of the manifest"
        )
    else:
        print(report.findings[0].sentence)
        if report.findings[1:]:
            print(f"{_counted(len(report.findings) - 1, 'more finding')}; --json shows all")
    for note in report.notes:
        print(f"  note: {note}")
    if report.unsealed:
        print(f"  note: {_counted(report.unsealed, 'segment')} not sealed yet, and not compared.")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
