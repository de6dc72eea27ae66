"""`gateway rollout`: moving a route's traffic to a challenger, in Argo Rollouts' words.

`get`, `status`, `promote`, `abort`, `retry` and `undo` are used as those of
`kubectl argo rollouts`. Verbs that look into files need no running gateway.

Why imports in functions: what reads configurations, evidence and the database takes half
a second to import, which `get` and `status` need not wait for.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import typer

from gateway.cli import rollout_tree
from gateway.cli.admin import DEFAULT_URL, AdminError, AdminUrl, AsJson, ask
from gateway.cli.columns import columns
from gateway.cli.places import DEFAULT_FILE, StateDirectory
from gateway.cli.rollout_name import Name, path_of
from gateway.cli.verbs import FAILED, verb_app

app = verb_app(help="Move a route's traffic to a challenger, step by step, and back.")

EVERY_S = 1.0
STILL_GOING = 3  # exit code of `status`
AWAY_S = 10.0  # a controller that is started again is there by then
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"
SpecFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A gateway.yaml, or YAML of one rollout.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="What one rollout refers to; default: gateway.yaml, if it is there."
    ),
]
HISTORY_HEAD = ("N", "AT", "REV", "EVENT", "BY", "PHASE", "WEIGHTS", "SAYS")


@app.command(name="list")
def list_(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the rollouts: phase, step, weight, what each waits for."""
    answer = ask(admin, "/api/v1/rollouts")
    print(_as_json(answer) if as_json else rollout_tree.listing(answer, _now()))


@app.command()
def get(
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again each second.")] = False,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Draw one rollout as a tree: its steps, its arms, what each gate says and needs.

    With --watch and --json it prints one line of JSON a second.
    """
    while True:
        answer = ask(admin, path_of(name))
        if as_json:
            print(json.dumps(answer, indent=None if watch else 2), flush=True)
        else:
            clear = _CLEAR if watch and sys.stdout.isatty() else ""
            print(clear + rollout_tree.page(answer, _now()), flush=True)
        if not watch:
            return
        sleep(EVERY_S)


@app.command()
def status(
    name: Name,
    timeout: Annotated[
        str, typer.Option("--timeout", "-t", help="Wait no longer, such as 60s; 0: for ever.")
    ] = "0",
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", "-w", help="Wait for the end, or look once.")
    ] = True,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Wait until a rollout has ended, and tell by the exit code how.

    0: promoted. 1: rolled back, aborted, or it cannot be asked. 3: under way when the time
    was up; the last line says what it waits for.
    """
    limit_s = _seconds(timeout) if watch else 1e-9
    answer = _awaited(admin, name, limit_s, None if as_json else print)
    if as_json:
        print(_as_json(answer))
    if not answer["is_ended"]:
        raise typer.Exit(STILL_GOING)
    if answer["phase"] != "promoted":
        raise typer.Exit(FAILED)


@app.command()
def start(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="YAML of one rollout; default: it is in gateway.yaml."),
    ] = None,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Begin a rollout that is declared in gateway.yaml, or in a file of its own."""
    from gateway.cli.rollout_files import text_of  # noqa: PLC0415  see above

    text = "" if file is None else text_of(file)
    _say(admin, name, "start", as_json, text=text)


@app.command()
def promote(
    name: Name,
    full: Annotated[
        bool, typer.Option("--full", help="To the end at once, past gates, pauses and windows.")
    ] = False,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Pass by the present step, or with --full go to the end at once."""
    _say(admin, name, "promote", as_json, full=full)


@app.command()
def pause(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Stay at the present weight; guardrails go on."""
    _say(admin, name, "pause", as_json)


@app.command()
def resume(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Go on after a pause."""
    _say(admin, name, "resume", as_json)


@app.command()
def abort(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; it is written down.")] = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """End it: the champion has all the traffic."""
    _say(admin, name, "abort", as_json, reason=reason)


@app.command()
def retry(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Begin again from the first step, after it was rolled back or aborted."""
    _say(admin, name, "retry", as_json)


@app.command()
def undo(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Take a promotion back at once."""
    _say(admin, name, "undo", as_json)


@app.command()
def confirm(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Say go on where the rollout asks for it."""
    _say(admin, name, "confirm", as_json)


@app.command()
def history(name: Name, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what was decided of a rollout, by whom and why, the oldest first."""
    answer = ask(admin, f"{path_of(name)}/decisions")
    if as_json:
        print(_as_json(answer))
        return
    rows = [
        (
            str(entry["n"]),
            entry["at"],
            str(entry["revision"]),
            entry["event"].replace("_", " "),
            entry["actor"],
            entry["phase"].replace("_", " "),
            ", ".join(f"{arm} {weight:g}%" for arm, weight in entry["weights"].items()),
            entry["sentence"],
        )
        for entry in answer
    ]
    print(columns(HISTORY_HEAD, rows, "N REV") if rows else "nothing was decided yet")


@app.command()
def explain(
    name: Name,
    n: Annotated[
        int, typer.Argument(metavar="[N]", help="A decision's number; default: the last one.")
    ] = 0,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show what a decision was made of, and find its verdicts again from the evidence alone.

    Exits with 1 when the same evidence does not give the same verdicts.
    """
    from gateway.cli import rollout_evidence  # noqa: PLC0415  see above

    number = n or _last_with_evidence(admin, name)
    said = ask(admin, f"{path_of(name)}/decisions/{number}")
    answer = rollout_evidence.explained(rollout_evidence.decision_of(said))
    print(_as_json(answer) if as_json else rollout_evidence.page(answer))
    if answer["agrees"] is False:
        raise typer.Exit(FAILED)


@app.command()
def verify(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Check the decision log: the chain of its hashes, and each verdict from its evidence.

    Exits with 1 when an entry was changed, is missing, or has another verdict.
    """
    from gateway.cli import rollout_evidence  # noqa: PLC0415  see above

    answer = rollout_evidence.verified(
        lambda after: rollout_evidence.entries_of(ask(admin, f"/api/v1/decisions?after={after}"))
    )
    print(_as_json(answer) if as_json else rollout_evidence.verdict_on_log(answer))
    if answer["problems"]:
        raise typer.Exit(FAILED)


@app.command()
def lint(file: SpecFile, config: Config = None, as_json: AsJson = False) -> None:
    """Say every problem of the rollouts in a file, with its path; nothing is changed.

    The file is a whole gateway.yaml, or one rollout as `start --file` takes it. Exits with
    0 when it is right, 1 when it is not.
    """
    from gateway.cli import check, rollout_files  # noqa: PLC0415  see above

    found = rollout_files.look_into(file, config)
    if as_json:
        print(_as_json(rollout_files.as_json(found)))
    elif found.problems:
        check.print_problems(file, found.problems)
    else:
        print(rollout_files.page(file, found))
    if found.problems:
        raise typer.Exit(FAILED)


@app.command()
def simulate(
    file: SpecFile,
    name: Annotated[
        str, typer.Argument(help="Which of the file's rollouts; needed where it has several.")
    ] = "",
    effect: Annotated[
        list[str] | None,
        typer.Option(
            "--effect",
            "-e",
            metavar="METRIC=FACTOR",
            help="What the challenger does otherwise, such as errors=2 or latency=1.2,cost=3;"
            " default: a usual one for each gate.",
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Take the champion's figures from the recorded log.")
    ] = False,
    since: Annotated[str, typer.Option(help="With --log: how far back, such as 7d.")] = "7d",
    rate: Annotated[float, typer.Option(help="Requests per second.", min=0.001, max=1e6)] = 20.0,
    errors: Annotated[str, typer.Option(help="The champion's share of errors.")] = "2%",
    latency: Annotated[str, typer.Option(help="Its median latency.")] = "800ms",
    cost: Annotated[float, typer.Option(help="Mean cost of a request, in USD.", min=0)] = 0.002,
    accepted: Annotated[str, typer.Option(help="Share of rated answers that are good.")] = "60%",
    runs: Annotated[int, typer.Option(help="Of each kind.", min=10, max=10_000)] = 400,
    seed: Annotated[int, typer.Option(help="The same one gives the same figures.")] = 0,
    config: Config = None,
    state: StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a rollout before it starts: power, false rollbacks, time to decide, cost.

    Each kind of challenger is a row: one that is as good as the champion, whose share of
    rollbacks is the rate of false alarms, and worse ones, whose share is power. The champion
    is as the options say, or as --log recorded it. Nothing is asked of a running gateway.
    """
    from gateway.cli import check, rollout_files, rollout_simulation  # noqa: PLC0415  see above

    found = rollout_files.look_into(file, config)
    if found.problems:
        check.print_problems(file, found.problems, to=sys.stderr)
        raise typer.Exit(FAILED)
    which, rollout = rollout_files.one_of(found, name)
    effects = rollout_simulation.effects_of(rollout, effect or [])
    if log:
        place = config or DEFAULT_FILE
        traffic = rollout_files.recorded_traffic(rollout.route, place, state, since)
    else:
        traffic = rollout_files.assumed_traffic(
            rate=rate, errors=errors, latency=latency, cost_usd=cost, accepted=accepted
        )
    answer = rollout_simulation.simulated(which, rollout, traffic, effects, runs=runs, seed=seed)
    print(_as_json(answer) if as_json else rollout_simulation.page(answer))


def _say(admin: str, name: str, verb: str, as_json: bool, **said: object) -> None:
    body = {"author": _author(), **said}
    answer = ask(admin, f"{path_of(name)}/{verb}", body)
    if as_json:
        print(_as_json(answer))
        return
    sentence = rollout_tree.says(answer)
    weight = rollout_tree.percent(answer["weight"])
    why = f"; {sentence}" if sentence else ""
    print(f"{name}: {rollout_tree.phase(answer)}, weight {weight}{why}")


def _awaited(
    admin: str, name: str, limit_s: float, tell: Callable[[str], None] | None
) -> dict[str, Any]:
    """The rollout at its end, or when the time is up; each change is told on the way."""
    began_s, seen_s, told = monotonic(), monotonic(), ""
    while True:
        try:
            answer: dict[str, Any] = ask(admin, path_of(name))
            seen_s = monotonic()
        except AdminError as error:
            if error.is_answer or not told or monotonic() - seen_s > AWAY_S:
                raise
            sleep(EVERY_S)
            continue
        line = f"{rollout_tree.phase(answer)}, weight {rollout_tree.percent(answer['weight'])}"
        line += f": {rollout_tree.says(answer)}" if rollout_tree.says(answer) else ""
        if tell is not None and line != told:
            tell(line)
        told = line
        left_s = began_s + limit_s - monotonic() if limit_s else EVERY_S
        if answer["is_ended"] or left_s <= 0:
            return answer
        sleep(min(EVERY_S, left_s))


def _last_with_evidence(admin: str, name: str) -> int:
    entries = ask(admin, f"{path_of(name)}/decisions")
    judged = [entry["n"] for entry in entries if entry["has_evidence"]]
    if not entries:
        raise AdminError(f"nothing was decided of `{name}` yet")
    return int(judged[-1] if judged else entries[-1]["n"])


def _seconds(text: str) -> float:
    from gateway.config.units import Duration  # noqa: PLC0415  see above

    try:
        return Duration.parse(text) / 1e9
    except ValueError as error:
        raise typer.BadParameter(f"--timeout: {error}") from None


def _author() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""


def _now() -> datetime:
    return datetime.now(UTC)


def _as_json(answer: object) -> str:
    return json.dumps(answer, indent=2)
