"""`gateway drift pin | report | status`: current values against a reference, or by the rules.

Reads files and the state directory; no gateway needs to run. With `--rule` what is found goes
to a running gateway as a look, where it becomes alerts (docs/alerts.md).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gateway.cli import drift_rules
from gateway.cli.admin import DEFAULT_URL, AdminUrl, ask
from gateway.cli.drift_rules import Form
from gateway.cli.log_search import filter_of, store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from gateway.drift.current import Current
    from gateway.drift.report import ReportData
    from gateway.drift.verdict import Finding, Verdict
    from gateway.profiles.profile import Profile
    from gateway.profiles.reference import Reference
    from gateway.watch.sign import Sign

MINUTE_S = 60
UNITS = {"m": 1, "h": 60, "d": 1440}  # minutes
MOST_FINDINGS = 1_000

Route = Annotated[str, typer.Argument(help="Whose values.")]
RouteOrAll = Annotated[str, typer.Argument(help="Whose values; default: all routes.")]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        "--reference", help="CSV or Parquet of the training, or a reference, JSON; default: rules."
    ),
]
CurrentFile = Annotated[
    Path | None, typer.Option("--current", help="CSV or Parquet; default: recorded traffic.")
]
Last = Annotated[str, typer.Option("--last", help="Of recorded traffic: such as 30m, 6h, 7d.")]
Limit = Annotated[int, typer.Option(min=100, max=1_000_000, help="Most records, the newest.")]
Alpha = Annotated[
    float, typer.Option(min=1e-9, max=0.5, help="Chance of a false alarm, over all fields.")
]
Rule = Annotated[
    str,
    typer.Option(
        "--rule",
        help="This entry of drift.rules; with --reference, tell a running gateway under its name.",
    ),
]


class _Looked(NamedTuple):
    """What was compared, and what the tests say of it."""

    then: Mapping[str, Profile]
    now: Mapping[str, Profile]
    verdict: Verdict


def status(
    route: RouteOrAll = "",
    reference: ReferenceFile = None,
    current: CurrentFile = None,
    last: Last = "24h",
    limit: Limit = 100_000,
    alpha: Alpha = 0.01,
    rule: Rule = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    admin: AdminUrl = DEFAULT_URL,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Print what drifts: a line a field, with the reference, the values now and the trend.

    Without --reference, by the rules of `drift.rules` and what was counted for them; without a
    route, a line a rule. With --reference, recorded traffic or a file against that.
    """
    if reference is None:
        _refuse_current(current)
        said = (
            drift_rules.status(route, rule, config, state, as_json=as_json)
            if route
            else drift_rules.overview(config, state, as_json=as_json)
        )
        print(said)
        return
    from gateway.drift.report import as_json as json_of  # noqa: PLC0415  scipy takes half a second
    from gateway.drift.report import as_text  # noqa: PLC0415

    found, looked = _looked(_named(route), reference, current, last, limit, alpha, config, state)
    print(json_of(found).decode() if as_json else as_text(found))
    _tell(admin, route, rule, looked)


def report(
    route: Route,
    reference: ReferenceFile = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file; - prints.")] = Path("-"),
    form: Annotated[
        Form, typer.Option("--format", help="A page, for programs, or a picture for chats.")
    ] = "html",
    current: CurrentFile = None,
    last: Last = "24h",
    limit: Limit = 100_000,
    alpha: Alpha = 0.01,
    rule: Rule = "",
    version: Annotated[
        str, typer.Option("--version", help="Of the model; without --reference.")
    ] = "",
    arm: Annotated[str, typer.Option("--arm", help="Of a rollout; without --reference.")] = "",
    admin: AdminUrl = DEFAULT_URL,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Write a report: a page with every field, JSON with the names that Evidently has, or PNG.

    Without --reference, of what a rule of `drift.rules` has counted; the one that found most.
    """
    if reference is None:
        _refuse_current(current)
        asked = {"rule": rule, "version": version, "arm": arm}
        made, said = drift_rules.report(route, asked, form, config, state)
        _put(out, made, said)
        return
    found, looked = _looked(route, reference, current, last, limit, alpha, config, state)
    _put(out, _formed(found, form), f"{found.drifted} of {len(found.fields)} fields drift")
    _tell(admin, route, rule, looked)


def _formed(found: ReportData, form: Form) -> bytes:
    from gateway.drift.page import page_of  # noqa: PLC0415  scipy takes half a second
    from gateway.drift.picture import png_of  # noqa: PLC0415
    from gateway.drift.report import as_json  # noqa: PLC0415

    if form == "png":
        return png_of(found)
    return page_of(found).encode() if form == "html" else as_json(found) + b"\n"


def _put(out: Path, made: bytes, said: str) -> None:
    if str(out) == "-":
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
    else:
        _write(out, made)
        print(f"{out}: {said}")


def _named(route: str) -> str:
    if not route:
        raise typer.BadParameter("with --reference a ROUTE is needed")
    return route


def _refuse_current(current: Path | None) -> None:
    if current is not None:
        raise typer.BadParameter("--current is compared with --reference")


def pin(
    route: Route,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file of the reference, JSON.")],
    last: Last = "7d",
    limit: Limit = 100_000,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Make a reference of recorded traffic: features, tokens, latency, outcomes."""
    from gateway.profiles.recorded import from_lines  # noqa: PLC0415  numpy takes a while

    lines = _lines(route, last, limit, config, state)
    made = from_lines(reversed(lines), route, source=f"{route}, last {last}")
    _write(out, made.encode())
    print(f"{out}: {len(made.fields)} fields of {len(lines):,} records, {made.hash}")


def _looked(
    route: str,
    reference: Path,
    current: Path | None,
    last: str,
    limit: int,
    alpha: float,
    config: Path,
    state: Path | None,
) -> tuple[ReportData, _Looked]:
    from gateway.drift import current as reading  # noqa: PLC0415  scipy takes half a second
    from gateway.drift.battery import Battery  # noqa: PLC0415
    from gateway.drift.report import report_of  # noqa: PLC0415

    then = reading.reference_of(reference, route)
    if current is not None:
        now = reading.current_of_file(then, current)
    else:
        now = _recorded(then, route, last, limit, config, state)
    battery = Battery(then.profiles)
    verdict = battery.look(now.profiles, alpha)
    found = report_of(
        then,
        now.profiles,
        verdict,
        title=f"Drift of {route}",
        source=now.source,
        alpha=alpha,
        now_s=time.time(),
        trends=reading.trends(battery, now.parts),
    )
    return found, _Looked(then.profiles, now.profiles, verdict)


def _recorded(
    reference: Reference, route: str, last: str, limit: int, config: Path, state: Path | None
) -> Current:
    from gateway.drift.current import current_of_lines  # noqa: PLC0415  as above

    minutes = _minutes(last)
    lines = _lines(route, last, limit, config, state)
    end = int(time.time()) // MINUTE_S + 1
    return current_of_lines(reference, route, lines, end - minutes, end, f"{route}, last {last}")


def _lines(route: str, last: str, limit: int, config: Path, state: Path | None) -> list[bytes]:
    """Of the store, the newest first."""
    _minutes(last)
    lists = ("backend", "model", "version", "user", "outcome", "status", "feedback")
    nothing = {"until": "", "min_cost": None, "min_latency": "", "text": ""}
    asked: dict[str, Any] = {**dict.fromkeys(lists), **nothing}
    wanted = filter_of(**asked, route=[route], kind=["prediction"], since=last)
    found = store_of(config, state).search(wanted, limit=limit)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if not found.matches:
        raise _wrong(f"no record of the route `{route}` is in the store of the last {last}")
    if found.has_more:
        print(f"note: only the newest {limit:,} records were read", file=sys.stderr)
    return [match.line for match in found.matches]


def _tell(admin: str, route: str, rule: str, looked: _Looked) -> None:
    """What was found, and what was not, to a running gateway."""
    if not rule:
        return
    told = _findings(looked)
    answer = ask(admin, "/api/v1/alerts/looks", {"route": route, "rule": rule, "findings": told})
    opened = ", ".join(map(str, answer["open"])) or "none"
    print(f"told {admin}: {len(told)} findings; open alerts: {opened}", file=sys.stderr)


def _findings(looked: _Looked) -> list[dict[str, Any]]:
    """One a field, of the kind that the rules' own looks give it."""
    from gateway.watch.findings import broken_of  # noqa: PLC0415  as above
    from gateway.watch.signs import signs_of  # noqa: PLC0415

    told = []
    for one in broken_of(looked.verdict)[:MOST_FINDINGS]:
        sign = signs_of(looked.then[one.name], looked.now[one.name], one.qualities)[0]
        tested = next((each for each in one.tested if each.test in sign.tests), one.tested[0])
        told.append(_as_told(sign, tested))
    return told


def _as_told(sign: Sign, finding: Finding) -> dict[str, Any]:
    return {
        "kind": sign.kind,
        "field": finding.field[:200],
        "sentence": f"`{finding.field[:200]}` {sign.sentence}."[:1_000],
        "test": finding.test,
        "effect": finding.effect,
        "p": finding.adjusted,
        "evidence": {
            "statistic": finding.statistic,
            "large from": finding.limit,
            "values": finding.current,
            "reference values": finding.reference,
        },
    }


def _minutes(last: str) -> int:
    number, unit = last[:-1], last[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) <= 6 and unit in UNITS):
        raise typer.BadParameter("--last wants a time such as 30m, 6h or 7d")
    return max(1, int(number) * UNITS[unit])


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _wrong(f"{path} cannot be written: {error.strerror}") from None


def _wrong(sentence: str) -> ConfigError:
    return ConfigError((Problem(sentence),))
