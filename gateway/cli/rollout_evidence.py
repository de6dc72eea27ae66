"""A decision and what it was made of, in words; and whether it follows from that.

Rule: verdicts are found again from the entry alone: its declaration, its evidence, its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.cli.columns import NONE, columns, share, usd
from gateway.cli.rollout_tree import LATER, VERDICTS
from gateway.rollout.counts import ArmCounts, Period
from gateway.rollout.decisions import NOTHING, Decision, DecisionsError, Entry, opened, verify
from gateway.rollout.verdict import Judgement

if TYPE_CHECKING:
    from gateway.rollout.replay import Replayed

GATE_HEAD = ("GATE", "ARM", "VERDICT", "AGAIN", "LOG-E", "AGAIN", "SAYS")
ARM_HEAD = ("STEP", "SHARE", "ARM", "ASSIGNED", "ANSWERED", "ERRORS", "TIMEOUTS", "COST")
ARM_RIGHT = "SHARE ASSIGNED ANSWERED ERRORS TIMEOUTS COST"

Replay = Callable[[Decision], "Replayed"]


def explained(decision: Decision, replay: Replay | None = None) -> dict[str, Any]:
    """The decision, its evidence, and its verdicts found again."""
    again, found = (replay or _replay())(decision), decision.judgement
    return {
        "n": decision.n,
        "at": _time(decision.at_ms),
        "rollout": decision.rollout,
        "revision": decision.revision,
        "actor": decision.actor,
        "event": decision.event,
        "sentence": decision.sentence,
        "phase": decision.phase,
        "step": decision.step,
        "weights": {name: ppm / 10_000 for name, ppm in decision.weights.items()},
        "spec_hash": decision.spec_hash,
        "plan_before": decision.plan_before,
        "plan_after": decision.plan_after,
        "propagation_ms": decision.propagation_ms,
        "versions": decision.versions,
        "evidence": [_period(each) for each in decision.periods],
        "verdicts": [] if found is None else _beside(found, again.judgement),
        "agrees": None if found is None else again.agrees,
        "again": again.sentence,
        "differences": list(again.differences),
    }


def verified(
    pages: Callable[[int], Iterable[Entry]], replay: Replay | None = None
) -> dict[str, Any]:
    """What is wrong with the decision log; `pages` gives the entries behind a number."""
    replay = replay or _replay()
    n, prev, judged, problems = 0, NOTHING, 0, list[str]()
    while entries := tuple(pages(n)):
        try:
            n, prev = verify(entries, n, prev)
        except DecisionsError as error:
            problems.append(str(error))
            break
        for decision in map(opened, entries):
            if decision.judgement is not None:
                judged += 1
                again = replay(decision)
                problems += [f"entry {decision.n}: {each}" for each in again.differences]
    return {"entries": n, "replayed": judged, "hash": prev if n else "", "problems": problems}


def page(answer: dict[str, Any]) -> str:
    """The explanation as text."""
    return "\n".join(_lines(answer))


def verdict_on_log(answer: dict[str, Any]) -> str:
    """What `verify` found, as text."""
    count, judged = answer["entries"], answer["replayed"]
    if answer["problems"]:
        return "\n".join(["the decision log is NOT as it was written:", *answer["problems"]])
    if not count:
        return "the decision log is empty"
    return (
        f"{count} decisions, none changed, none missing; the last is {answer['hash'][:12]}\n"
        f"{judged} of them have evidence, which gives the same verdicts again"
    )


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    weights = ", ".join(f"{name} {weight:g}%" for name, weight in answer["weights"].items())
    yield (
        f"decision {answer['n']} of {answer['rollout']}, revision {answer['revision']}:"
        f" {answer['event'].replace('_', ' ') or 'look'}, by {answer['actor']} at {answer['at']}"
    )
    yield answer["sentence"]
    then = f"then {answer['phase'].replace('_', ' ')}, step {answer['step'] + 1}"
    yield f"{then}; {weights or 'no challenger has traffic'}"
    yield f"declaration {answer['spec_hash'][:12]}, plan {answer['plan_before'][:12] or NONE}"
    if answer["versions"]:
        yield ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
    if answer["evidence"]:
        yield ""
        yield columns(ARM_HEAD, list(_arm_rows(answer["evidence"])), ARM_RIGHT)
    if answer["verdicts"]:
        yield ""
        yield columns(GATE_HEAD, list(map(_gate_row, answer["verdicts"])), "LOG-E")
    yield ""
    yield answer["again"]
    yield from answer["differences"]


def _arm_rows(periods: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for period in periods:
        for name, arm in period["arms"].items():
            yield (
                str(period["step"] + 1),
                share(arm["share"]),
                name,
                f"{arm['assigned']:,}",
                f"{arm['answered']:,}",
                f"{arm['errors']:,}",
                f"{arm['timeouts']:,}",
                usd(arm["cost_usd"]),
            )


def _gate_row(found: dict[str, Any]) -> tuple[str, ...]:
    def words(verdict: str) -> str:
        return f"{VERDICTS.get(verdict, LATER)} {verdict.replace('_', ' ')}"

    return (
        found["gate"],
        found["arm"],
        words(found["verdict"]),
        words(found["again"]) if found["again"] else "gone",
        f"{found['log_e']:.4g}",
        NONE if found["again_log_e"] is None else f"{found['again_log_e']:.4g}",
        found["sentence"],
    )


def _beside(found: Judgement, again: Judgement | None) -> list[dict[str, Any]]:
    others = {(one.gate, one.arm): one for one in again.verdicts} if again else {}
    return [
        {
            "gate": one.gate,
            "arm": one.arm,
            "metric": one.metric,
            "kind": one.kind,
            "verdict": one.verdict,
            "log_e": one.log_e,
            "sentence": one.sentence,
            "again": other.verdict if (other := others.get((one.gate, one.arm))) else "",
            "again_log_e": other.log_e if other else None,
        }
        for one in found.verdicts
    ]


def _period(period: Period) -> dict[str, Any]:
    arms = period.evidence.arms
    return {
        "step": period.step,
        "since": _time(period.since_ms),
        "until": _time(period.until_ms),
        "arms": {name: _counts(counts, period.share(name)) for name, counts in arms.items()},
        "pairs": {name: each.pairs for name, each in period.evidence.pairs.items()},
    }


def _counts(counts: ArmCounts, units: float) -> dict[str, Any]:
    return {
        "share": units,
        "assigned": counts.assigned,
        "answered": counts.answered,
        "errors": counts.errors,
        "timeouts": counts.timeouts,
        "cost_usd": counts.cost_nano_usd * 1e-9,
    }


def _time(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if at_ms else ""


def _replay() -> Replay:
    from gateway.rollout.replay import replay  # noqa: PLC0415  scipy takes its time

    return replay


def decision_of(answer: object) -> Decision:
    """As the admin port says it."""
    # Why by way of text: keys of histograms are numbers, which JSON has as texts.
    return msgspec.json.decode(msgspec.json.encode(answer), type=Decision)


def entries_of(answer: object) -> tuple[Entry, ...]:
    """The same of the log."""
    return msgspec.convert(answer, tuple[Entry, ...])
