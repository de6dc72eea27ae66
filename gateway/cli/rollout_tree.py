"""A rollout as a tree: its steps, its arms, and what each gate says of each arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from gateway.cli.columns import NONE, age, columns, seconds, share, usd

# Argo's signs: good, bad, under way, paused, look here, waiting, not yet.
GOOD, BAD, GOING, PAUSED, LOOK, WAITING, LATER = "✔✖◌॥⚠◷•"
PHASES = {
    "pending": WAITING,
    "running": GOING,
    "paused": PAUSED,
    "confirming": LOOK,
    "promoted": GOOD,
    "rolled_back": BAD,
    "aborted": BAD,
}
VERDICTS = {"pass": GOOD, "fail": BAD, "inconclusive": LOOK, "not_enough_data": WAITING}

HEAD = ("NAME", "KIND", "STATUS", "WEIGHT", "REQUESTS", "ERRORS", "P50/P99", "COST", "E", "SAYS")
RIGHT = "WEIGHT REQUESTS ERRORS P50/P99 COST E"
LIST_HEAD = ("NAME", "ROUTE", "PHASE", "STEP", "WEIGHT", "SINCE", "SAYS")

Row = tuple[str, ...]


def page(rollout: dict[str, Any], now: datetime) -> str:
    """The rollout as text."""
    lines = [f"{label + ':':<10}{text}" for label, text in _facts(rollout, now) if text]
    rows = [_root(rollout), *_branches(list(_children(rollout)))]
    table = columns(HEAD, [row + ("",) * (len(HEAD) - len(row)) for row in rows], RIGHT)
    return "\n".join([*lines, "", table])


def listing(rollouts: Sequence[dict[str, Any]], now: datetime) -> str:
    """All rollouts, one a line."""
    rows = [
        (
            rollout["name"],
            rollout["route"],
            phase(rollout),
            _step_number(rollout),
            percent(rollout["weight"]),
            _age(rollout["since"], now),
            says(rollout),
        )
        for rollout in rollouts
    ]
    return columns(LIST_HEAD, rows, "WEIGHT SINCE") if rows else "there is no rollout"


def phase(rollout: dict[str, Any]) -> str:
    """With its sign."""
    return f"{PHASES.get(rollout['phase'], LATER)} {rollout['phase'].replace('_', ' ')}"


def says(rollout: dict[str, Any]) -> str:
    """What it waits for or why it ended, in one line."""
    return str(rollout["failure"] or rollout["sentence"] or rollout["needs"])


def percent(value: float) -> str:
    return f"{value:.4g}%"


def _facts(rollout: dict[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    yield "Name", rollout["name"]
    yield (
        "Route",
        f"{rollout['route']}{', declared by hand' if rollout['source'] == 'hand' else ''}",
    )
    dry = ", a dry run that moves nothing" if rollout["is_dry_run"] else ""
    since = f", since {_age(rollout['since'], now)}" if rollout["since"] else ""
    yield "Status", f"{phase(rollout)}{since}{dry}"
    yield "Revision", str(rollout["revision"]) if rollout["revision"] > 1 else ""
    yield "Step", _step(rollout, now)
    yield "Weight", percent(rollout["weight"])
    yield "Mirror", percent(rollout["mirror"]) if rollout["mirror"] else ""
    yield "Says", rollout["sentence"]
    yield "Needs", rollout["needs"]
    yield "Failure", f"{BAD} {rollout['failure']}" if rollout["failure"] else ""
    yield "Winner", rollout["winner"]
    yield "To keep", rollout["edit"]
    if rollout["propagation_s"] is not None:
        yield "In force", f"{seconds(rollout['propagation_s'])} after it was decided"
    yield "You may", ", ".join(rollout["verbs"])


def _step(rollout: dict[str, Any], now: datetime) -> str:
    if rollout["step"] < 0 or rollout["is_ended"] or rollout["step"] >= len(rollout["steps"]):
        return ""
    words = rollout["steps"][rollout["step"]]["words"]
    return f"{_step_number(rollout)} ({words}), for {_age(rollout['step_since'], now)}"


def _step_number(rollout: dict[str, Any]) -> str:
    count = len(rollout["steps"])
    return f"{min(max(rollout['step'] + 1, 0), count)}/{count}"


def _root(rollout: dict[str, Any]) -> Row:
    status = rollout["phase"].replace("_", " ")
    name = f"{PHASES.get(rollout['phase'], LATER)} {rollout['name']}"
    return (name, "rollout", status, percent(rollout["weight"]))


def _children(rollout: dict[str, Any]) -> Iterator[tuple[Row, list[Row]]]:
    """Each with its own children."""
    for step in rollout["steps"]:
        yield _step_row(step, rollout["phase"]), []
    for share_view in rollout["shares"]:
        if share_view["verdict"] == "fail":
            yield _share_row(share_view), []
    for arm in rollout["arms"]:
        gates = [gate for gate in rollout["gates"] if gate["arm"] == arm["name"]]
        yield _arm_row(arm), list(map(_gate_row, gates))


def _step_row(step: dict[str, Any], of_phase: str) -> Row:
    current = PHASES.get(of_phase, GOING)
    sign = {"done": GOOD, "current": current}.get(step["state"], LATER)
    return (f"{sign} {step['words']}", "step", step["state"])


def _arm_row(arm: dict[str, Any]) -> Row:
    quantiles = f"{seconds(arm['p50_s'])}/{seconds(arm['p99_s'])}"
    return (
        f"{BAD} {arm['name']}" if arm["is_out"] else arm["name"],
        "arm",
        "left" if arm["is_out"] else "",
        percent(arm["weight"]),
        f"{arm['assigned']:,}",
        share(arm["error_share"]),
        NONE if arm["p50_s"] is None else quantiles,
        usd(arm["cost_per_request_usd"]),
    )


def _gate_row(gate: dict[str, Any]) -> Row:
    sign = VERDICTS.get(gate["verdict"], LATER)
    words = gate["verdict"].replace("_", " ")
    rest = ("", "", "", "", "", e_value(gate["e_value"]), gate["sentence"])
    return (f"{sign} {gate['gate']}", gate["kind"], words, *rest)


def _share_row(found: dict[str, Any]) -> Row:
    rest = ("", "", "", "", "", e_value(found["e_value"]), found["sentence"])
    return (f"{LOOK} shares when {found['hop']}", "check", found["verdict"], *rest)


def e_value(value: float) -> str:
    return f"{value:.2g}" if value < 1000 else ">999"


def _branches(children: list[tuple[Row, list[Row]]]) -> Iterator[Row]:
    for at, ((name, *rest), own) in enumerate(children):
        is_last = at == len(children) - 1
        yield (f"{'└' if is_last else '├'}──{name}", *rest)
        stem = "   " if is_last else "│  "
        for own_name, *own_rest in _branches([(row, []) for row in own]):
            yield (f"{stem}{own_name}", *own_rest)


def _age(at: str, now: datetime) -> str:
    if not at:
        return NONE
    return age(max(0.0, (now - datetime.fromisoformat(at)).total_seconds()))
