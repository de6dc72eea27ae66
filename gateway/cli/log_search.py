"""`gateway log tail | show | search | export | stats`: what the prediction log says.

Reads the state directory; no gateway needs to run, and one that runs is not disturbed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from gateway.cli.columns import columns, seconds, share, usd
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED, verb_app
from gateway.log.names import DIRECTORY as LOG_DIRECTORY
from gateway.log.reader import Tail
from gateway.store import Store
from gateway.store.export import FORMATS, Format
from gateway.store.filters import Filter
from gateway.store.moments import moment_us
from gateway.store.search import Match
from gateway.store.stats import GROUPS, Group, SignalFigures, Stats
from gateway.store.store import DIRECTORY as STORE_DIRECTORY

app = verb_app()

LOOK_S = 0.2
STATS_HEAD = (
    "RECORDS", "OK", "TOTAL-P50", "TOTAL-P95", "TOTAL-P99", "FIRST-P50", "FIRST-P95", "TOKENS-IN",
    "TOKENS-OUT", "COST", "RETRIED", "FALLBACK",
)  # fmt: skip
Texts = list[str]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one record a line.")]


def _many(name: str, what: str) -> Any:
    return typer.Option(name, help=f"{what} May be given several times.")


# What the verbs that filter have in common.
Since = Annotated[str, typer.Option(help="From when: 2h, yesterday, 2026-11-21T14:30 (UTC).")]
Until = Annotated[str, typer.Option(help="Until when, in the same forms.")]
Route = Annotated[Texts | None, _many("--route", "Of this route.")]
Backend = Annotated[Texts | None, _many("--backend", "Answered by this backend.")]
Model = Annotated[Texts | None, _many("--model", "For this model, as the client named it.")]
Version = Annotated[Texts | None, _many("--version", "By this version of the model.")]
User = Annotated[Texts | None, _many("--user", "For this user.")]
Outcome = Annotated[Texts | None, _many("--outcome", "With this outcome, such as ok.")]
Kind = Annotated[Texts | None, _many("--kind", "prediction, shadow, refusal or cancelled.")]
Status = Annotated[Texts | None, _many("--status", "With this status: 503 or 5xx.")]
MinCost = Annotated[float | None, typer.Option(help="That cost at least so much, in USD.")]
MinLatency = Annotated[str, typer.Option(help="That took at least so long: 800ms, 2s.")]
Text = Annotated[str, typer.Option(help="With this text anywhere in the record.")]
Feedback = Annotated[
    Texts | None, _many("--feedback", "With this signal on it, such as thumbs; or any.")
]
AnomalyName = Annotated[
    Texts | None, _many("--anomaly", "With this anomaly of a contract: NAME, input:NAME; or any.")
]


def place_of(config: Path, state: Path | None) -> Path:
    """The state directory: as said, else as the configuration file says."""
    if state is not None:
        return state
    from gateway.config.document import state_directory  # noqa: PLC0415  slow to import

    return state_directory(config, os.environ)


def store_of(config: Path, state: Path | None) -> Store:
    """The store of a state directory."""
    place = place_of(config, state)
    return Store(place / STORE_DIRECTORY, place / LOG_DIRECTORY)


def filter_of(**given: Any) -> Filter:
    """The filter that the options ask for."""
    now_s = time.time()
    several = ("route", "backend", "model", "version", "user", "outcome", "kind", "status")
    all_of_them = (*several, "feedback", "anomaly")
    lists: dict[str, Any] = {name: tuple(given.get(name) or ()) for name in all_of_them}
    return Filter(
        **lists,
        since_us=moment_us(given["since"], now_s) if given["since"] else None,
        until_us=moment_us(given["until"], now_s) if given["until"] else None,
        min_cost_usd=given["min_cost"],
        min_latency_us=_latency_us(given["min_latency"]),
        text=given["text"],
    )


def _latency_us(text: str) -> int | None:
    if not text:
        return None
    from gateway.config.units import Duration  # noqa: PLC0415  slow to import

    try:
        return int(Duration.parse(text)) // 1000
    except ValueError as error:
        raise typer.BadParameter(f"--min-latency: {error}") from None


@app.command()
def tail(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000)] = 10,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest records, the newest last."""
    follower = Tail(place_of(config, state) / LOG_DIRECTORY, from_end=True) if follow else None
    if lines:
        found = store_of(config, state).search(Filter(), limit=lines)
        _print_lines((match.line for match in reversed(found.matches)), as_json=as_json)
        _print_notes(found.notes)
    while follower is not None:
        new = [line for _, data in follower.poll() for line in data.splitlines()]
        _print_lines(sorted(new, key=_time_of), as_json=as_json)
        time.sleep(LOOK_S)


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="ID", help="An answer's x-request-id, or an id.")],
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    feedback: Annotated[bool, typer.Option("--feedback", help="Also the feedback on it.")] = False,
) -> None:
    """Print the record of one request as it was written, as one line of JSON."""
    store = store_of(config, state)
    found = store.find_all(key)
    if not found:
        print(f"gateway: no record has the id {key}", file=sys.stderr)
        raise typer.Exit(FAILED)
    _print_lines(found, as_json=True)
    if feedback:
        keys = {name for line in found for name in _ids_of(line)}
        _print_lines(store.feedback_of(*keys), as_json=True)


@app.command()
def search(  # every filter is an option of its own
    since: Since = "",
    until: Until = "",
    route: Route = None,
    backend: Backend = None,
    model: Model = None,
    version: Version = None,
    user: User = None,
    outcome: Outcome = None,
    kind: Kind = None,
    status: Status = None,
    min_cost: MinCost = None,
    min_latency: MinLatency = "",
    text: Text = "",
    feedback: Feedback = None,
    anomaly: AnomalyName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 50,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest records that match every filter, the newest first.

    Of a filter that is given several times, one value must match. With --feedback, the
    signals on each record are printed with it. JSON has the records as they were written.
    """
    found = store_of(config, state).search(_filter(locals()), limit=limit)
    _print_matches(found.matches, as_json=as_json)
    if found.has_more:
        print(f"the newest {limit}; there are more (--limit)", file=sys.stderr)
    if not found.matches:
        print("no record matches", file=sys.stderr)
    _print_notes(found.notes)


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    form: Annotated[
        str, typer.Option("--format", help=f"{', '.join(FORMATS)}; default: as the file's name.")
    ] = "",
    since: Since = "",
    until: Until = "",
    route: Route = None,
    backend: Backend = None,
    model: Model = None,
    version: Version = None,
    user: User = None,
    outcome: Outcome = None,
    kind: Kind = None,
    status: Status = None,
    min_cost: MinCost = None,
    min_latency: MinLatency = "",
    text: Text = "",
    feedback: Feedback = None,
    anomaly: AnomalyName = None,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Write every record that matches to a file, in no particular order.

    ndjson has the lines as they were written; csv and parquet have the store's columns,
    parquet the line as well.
    """
    wanted, chosen = _filter(locals()), _format(form, output)
    exported = store_of(config, state).export(wanted, chosen, output)
    print(f"{exported.records} records are in {output}")
    _print_notes(exported.notes)


@app.command()
def stats(
    by: Annotated[
        str, typer.Option("--by", help=f"Comma-separated, of {', '.join(GROUPS)}.")
    ] = "route,backend",
    with_feedback: Annotated[
        bool, typer.Option("--feedback", help="Also the signals on the records of each group.")
    ] = False,
    since: Since = "",
    until: Until = "",
    route: Route = None,
    backend: Backend = None,
    model: Model = None,
    version: Version = None,
    user: User = None,
    outcome: Outcome = None,
    kind: Kind = None,
    status: Status = None,
    min_cost: MinCost = None,
    min_latency: MinLatency = "",
    text: Text = "",
    anomaly: AnomalyName = None,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print counts, outcomes, latency, tokens and cost of the records that match, by group.

    Quantiles are estimates, within about 1 % of the rank.
    """
    feedback: Texts = []
    wanted = _filter(locals())
    names = [name.strip() for name in by.split(",") if name.strip()]
    found = store_of(config, state).stats(wanted, names, with_feedback=with_feedback)
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    print(_stats_page(names, found))
    _print_notes(found.notes)


def _filter(given: dict[str, Any]) -> Filter:
    return filter_of(**given)


def _format(form: str, output: Path) -> Format:
    named = form or output.suffix.removeprefix(".").replace("jsonl", "ndjson")
    if named in FORMATS:
        return cast("Format", named)
    raise typer.BadParameter(f"--format wants one of {', '.join(FORMATS)}")


# printing


def _print_matches(matches: Sequence[Match], *, as_json: bool) -> None:
    for match in matches:
        if as_json and match.feedback:
            signals = b",".join(match.feedback).decode()
            print(f'{{"record":{match.line.decode()},"feedback":[{signals}]}}')
        else:
            _print_lines([match.line], as_json=as_json)
            for line in match.feedback:
                print(f"    {_signal(msgspec.json.decode(line))}")


def _print_lines(lines: Iterable[bytes], *, as_json: bool) -> None:
    for line in lines:
        print(line.decode(errors="replace") if as_json else _told(line), flush=True)


def _told(line: bytes) -> str:
    """A record, or feedback, for people."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "(a damaged line)"
    if not isinstance(found, dict):
        return "(a damaged line)"
    if found.get("kind") == "feedback":
        return f"{found.get('time', ''):<27}  feedback {_signal(found)}  {found.get('request_id')}"
    if found.get("kind") == "forgotten":
        return f"{found.get('time', ''):<27}  (forgotten)"
    return _record(found)


def _record(found: dict[str, Any]) -> str:
    took_s = (found.get("timing") or {}).get("total_us", 0) / 1e6
    where = found.get("route") or "-"
    if found.get("backend"):
        where += f" -> {found['backend']}"
    outcome = f"{found.get('status') or '-':>3} {found.get('outcome', ''):<18}"
    return (
        f"{found.get('time', ''):<27}  {outcome} {where:<28} {seconds(took_s):>7}"
        f" {usd(found.get('cost_usd', 0)):>9}  {found.get('request_id', '')}"
    )


def _signal(found: dict[str, Any]) -> str:
    value = "" if "value" not in found else f" {json.dumps(found['value'], ensure_ascii=False)}"
    comment = f" {found['comment']}" if found.get("comment") else ""
    return f"{found.get('signal', '')}{value}{comment}"


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _stats_page(names: Sequence[str], found: Stats) -> str:
    head = [*(name.upper() for name in names), *STATS_HEAD]
    signals = sorted({each.signal for group in found.groups for each in group.feedback})
    head += [signal.upper() for signal in signals]
    rows = [_stats_row(names, group, signals) for group in found.groups]
    right = [*(name for name in STATS_HEAD), *head[len(names) + len(STATS_HEAD) :]]
    table = columns(head, rows, " ".join(right))
    outcomes: dict[str, int] = {}
    for group in found.groups:
        for outcome, count in group.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    counts = sorted(outcomes.items(), key=lambda item: item[1], reverse=True)
    told = ", ".join(f"{outcome or '(none)'} {count}" for outcome, count in counts)
    return f"{table}\n\noutcomes: {told}" if found.groups else "no record matches"


def _stats_row(names: Sequence[str], group: Group, signals: Sequence[str]) -> list[str]:
    said = {each.signal: each for each in group.feedback}
    return [
        *(group.by[name] or "-" for name in names),
        str(group.records),
        share(group.ok / group.records),
        *map(seconds, (group.total.p50_s, group.total.p95_s, group.total.p99_s)),
        *map(seconds, (group.first_byte.p50_s, group.first_byte.p95_s)),
        str(group.input_tokens),
        str(group.output_tokens),
        usd(group.cost_usd),
        share(group.retried / group.records),
        share(group.fallbacks / group.records),
        *(_signal_cell(said.get(signal), group.records) for signal in signals),
    ]


def _signal_cell(figures: SignalFigures | None, records: int) -> str:
    """`share of records that have it (mean)`."""
    if figures is None:
        return "-"
    mean = "" if figures.mean is None else f" ({figures.mean:.2f})"
    return f"{share(figures.records / records)}{mean}"


def _time_of(line: bytes) -> str:
    try:
        return str(msgspec.json.decode(line).get("time", ""))
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return ""


def _ids_of(line: bytes) -> tuple[str, ...]:
    found = msgspec.json.decode(line)
    return tuple(found[name] for name in ("id", "request_id") if found.get(name))
