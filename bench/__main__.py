"""`python -m bench`: runs the benchmark, prints its tables, keeps the samples as JSON."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import budgets, machine, report, results, store
from bench.load import accounting
from bench.load.peers import DEFAULT, PEERS, ROOT, install
from bench.load.rig import Unavailable
from bench.suite import PARTS, Suite, Wish
from bench.terminal import make_console, say

QUICK = {
    "rounds": 2,
    "seconds": 1,
    "idle": (500, 1_000),
    "open_streams": 500,
    "records": store.FEW_RECORDS,
    "backlog": 100_000,
    "side_rounds": 1,
}
SLOW_PARTS = ("store",)  # a quick run of all goes without
DRIFT = "drift"  # has peers, tables and a result of its own


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="bench", description=__doc__)
    made.add_argument("part", nargs="?", default="all", choices=[*PARTS, DRIFT, "all", "install"])
    made.add_argument("--quick", action="store_true", help="some minutes; figures to look at only")
    made.add_argument("--peers", default=",".join(DEFAULT), help="comma-separated, of " + known())
    made.add_argument("--rounds", type=int, help="rounds (default 5)")
    made.add_argument("--seconds", type=int, help="seconds a turn (default 5)")
    made.add_argument("--records", type=int, help="in the local store (default 10,000,000)")
    made.add_argument(
        "--output",
        type=Path,
        help="folder for the JSON (default bench/results, build/bench for a part or a quick run)",
    )
    made.add_argument("--strict", action="store_true", help="fail when a budget is not met")
    return made


def known() -> str:
    """The names of all peers."""
    return ", ".join(PEERS)


def names_in(text: str) -> tuple[str, ...]:
    """The peers of a comma-separated list; raises ValueError for one that is not known."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in PEERS:
            raise ValueError(f"{name} is no peer; known are {known()}")
    return names


def wish_of(asked: argparse.Namespace) -> Wish:
    """What the command line asks for."""
    parts: tuple[str, ...] = PARTS if asked.part == "all" else (asked.part,)
    if asked.part == "all" and asked.quick:
        parts = tuple(part for part in PARTS if part not in SLOW_PARTS)
    chosen = dict(QUICK) if asked.quick else {}
    for name in ("rounds", "seconds", "records"):
        if getattr(asked, name):
            chosen[name] = getattr(asked, name)
    return Wish(parts=parts, peers=names_in(asked.peers), **chosen)  # type: ignore[arg-type]


def report_of(suite: Suite, stolen_share: float) -> results.Report:
    """The run as it is kept."""
    return results.Report(
        date=machine.today(),
        commit=machine.commit(),
        modified=machine.is_modified(),
        command=shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
        rounds=suite.wish.rounds,
        seconds=suite.wish.seconds,
        machine=machine.describe(stolen_share),
        versions=machine.versions(suite.wish.peers),
        skipped=suite.skipped,
        chat=tuple(suite.chat),
        streams=tuple(suite.streams),
        memory=tuple(suite.memory),
        kernels=tuple(suite.kernels),
        store=suite.store,
    )


def folder_of(asked: argparse.Namespace) -> Path:
    """Only a whole run may be published; a part or a quick one never takes its place."""
    is_whole = asked.part == "all" and not asked.quick
    return results.FOLDER if is_whole else ROOT / "build" / "bench"


def measure(asked: argparse.Namespace, console: Console) -> int:
    """Runs the suite, prints and keeps what it found."""
    before = accounting.machine_time()
    suite = Suite(wish_of(asked), partial(say, console))
    suite.run()
    made = report_of(suite, accounting.stolen_share(before, accounting.machine_time()))
    path = results.save(made, asked.output or folder_of(asked))
    verdicts = budgets.compare(made)
    report.show(console, made, verdicts)
    say(console, f"samples are in {path}")
    return int(asked.strict and not budgets.all_met(verdicts))


def drift(asked: argparse.Namespace, console: Console) -> int:
    """Profiles and tests of drift beside Evidently, NannyML, whylogs and river."""
    from bench.drift import __main__ as part  # noqa: PLC0415 - scipy takes a while
    from bench.drift.peers import LIBRARIES  # noqa: PLC0415

    options = ["--output", str(asked.output or ROOT / "build" / "bench" / DRIFT)]
    if asked.quick:
        options += ["--scale", "0.1", "--repetitions", "2"]
    elif not all(library.folder.exists() for library in LIBRARIES):
        options.append("--install")
    say(console, "drift, beside Evidently, NannyML, whylogs and river")
    missed = part.main(options)
    return missed if asked.strict else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    asked = parser().parse_args(arguments)
    console = make_console()
    try:
        names = names_in(asked.peers)
        if asked.part == "install":
            for name in names:
                say(console, install(PEERS[name]))
            return 0
        if asked.part == DRIFT:
            return drift(asked, console)
        status = measure(asked, console)
        return status if asked.part != "all" or asked.quick else max(status, drift(asked, console))
    except (ValueError, Unavailable) as error:
        say(console, f"bench: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
