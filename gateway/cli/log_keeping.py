"""`gateway log forget | hold`: what is deleted on request, and what is kept in spite of it.

Works on the state directory; no gateway needs to run, and one that runs is not disturbed.
"""

from __future__ import annotations

import json
import time
from typing import Annotated

import msgspec
import typer

from gateway.cli.columns import columns
from gateway.cli.log_search import store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import verb_app
from gateway.store.forgetting import Forgotten
from gateway.store.moments import from_us, moment_us
from gateway.store.orders import Hold, new_id

app = verb_app()
holds = verb_app(help="Keep records from retention and from being forgotten.")
app.add_typer(holds, name="hold")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

OUT_OF_REACH = (
    "Not reached: Kafka topics, objects, dead letters, exports and backups;"
    " delete it there by the same user."
)


@app.command()
def forget(
    user: Annotated[str, typer.Option("--user", help="Whose records are deleted.")],
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Delete one person's records, and the feedback on them, up to now.

    Tombstones stand in their places, so that `gateway log verify` still passes; it says how many
    lines were taken out. What a legal hold covers stays. Lines of segments that are being
    written are deleted when these are sealed and added to the store.
    """
    done = store_of(config, state).forget(user)
    if as_json:
        print(json.dumps(msgspec.to_builtins(done) | {"out_of_reach": OUT_OF_REACH}, indent=2))
        return
    _print_forgotten(done)


def _print_forgotten(done: Forgotten) -> None:
    print(f"{done.records} records and {done.feedback} feedback lines were deleted.")
    if done.held:
        print(f"{done.held} records are kept by a legal hold; `gateway log hold list` shows it.")
    if done.waiting:
        print(
            f"{done.waiting} lines are in segments that are being written;"
            " they go when these are added to the store."
        )
    print(OUT_OF_REACH)
    for note in done.notes:
        print(f"note: {note}")


@holds.command("add")
def add_hold(
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds it later.")],
    user: Annotated[str, typer.Option("--user", help="Records of this user; default: any.")] = "",
    route: Annotated[str, typer.Option("--route", help="Of this route; default: any.")] = "",
    since: Annotated[str, typer.Option("--since", help="From this time on.")] = "",
    until: Annotated[str, typer.Option("--until", help="Until this time.")] = "",
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Keep the records that match, whatever retention and `forget` say; prints the hold's id."""
    now_s = time.time()
    hold = Hold(
        id=new_id(),
        at_us=int(now_s * 1e6),
        reason=reason,
        user=user,
        route=route,
        since_us=moment_us(since, now_s) if since else None,
        until_us=moment_us(until, now_s) if until else None,
    )
    store_of(config, state).add_hold(hold)
    print(hold.id)


@holds.command("list")
def list_holds(
    config: ConfigFile = DEFAULT_FILE, state: StateDirectory = None, as_json: AsJson = False
) -> None:
    """Print every hold."""
    found = store_of(config, state).holds()
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    rows = [
        (
            each.id,
            from_us(each.at_us),
            each.user or "any",
            each.route or "any",
            "-" if each.since_us is None else from_us(each.since_us),
            "-" if each.until_us is None else from_us(each.until_us),
            each.reason,
        )
        for each in found
    ]
    head = ("HOLD", "ADDED", "USER", "ROUTE", "SINCE", "UNTIL", "REASON")
    print(columns(head, rows) if rows else "there are no holds")


@holds.command("remove")
def remove_hold(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Its id, as `list` prints it.")],
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Let go of what a hold keeps; retention deletes it when it is due."""
    store_of(config, state).remove_hold(hold_id)
    print(f"the hold {hold_id} is removed")
