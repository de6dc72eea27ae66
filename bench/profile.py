"""Where the worker's user-space time goes: perf on the gateway under load.

`python -m bench.profile [--seconds N] [--model chat-cheapest] [--peer gateway]` starts
backend and proxy, samples the traffic processes while wrk runs, and prints the symbols
with the largest share of their own. With `--against gateway-unrecorded` that peer is
sampled too, and the symbols are those that differ most, in microseconds a request. The
clock event is used where the machine has no cycle counter; release builds keep line tables
(-g1), so names are real.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from bench.load import answers, bodies, wrk
from bench.load.meter import Meter
from bench.load.peers import PEERS
from bench.load.rig import Rig, Running, cores_among, proxy, raise_open_files, rig
from bench.suite import pinned
from bench.summary import Table
from bench.terminal import drawn, make_console

LINE = re.compile(r"^\s*([\d.]+)%\s+(\S+)\s+\[([.kgH])\]\s+(.*?)(?:\s+-)*\s*$")


class Symbol(Struct, frozen=True):
    """One row of perf's report."""

    share: float  # of all samples, the kernel's too
    module: str
    name: str
    in_kernel: bool


def parse(output: str) -> list[Symbol]:
    """The rows of `perf report --stdio --sort dso,symbol -g none`."""
    matches = (LINE.match(line) for line in output.splitlines())
    return [
        Symbol(float(found[1]), found[2], found[4], found[3] != ".") for found in matches if found
    ]


class Profile(Struct, frozen=True):
    """Where the time of a request goes."""

    symbols: list[Symbol]
    each_us: float  # CPU time of a request

    def by_symbol(self) -> dict[tuple[str, str], float]:
        """Microseconds a request in each symbol."""
        found: dict[tuple[str, str], float] = {}
        for each in self.symbols:
            key = (each.module, each.name)
            found[key] = found.get(key, 0.0) + each.share / 100 * self.each_us
        return found


def table(profile: Profile, count: int) -> Table:
    """The kernel in one row, then the largest symbols of user space."""
    user = [each for each in profile.symbols if not each.in_kernel]
    kernel = sum(each.share for each in profile.symbols if each.in_kernel)
    rows = [("all of the kernel", "", f"{kernel:.1f} %")]
    rows += [(each.name, each.module, f"{each.share:.2f} %") for each in user[:count]]
    rest = sum(each.share for each in user[count:])
    rows.append((f"{max(0, len(user) - count)} more of user space", "", f"{rest:.1f} %"))
    title = f"Share of the traffic processes' time, {profile.each_us:.2f} us a request"
    return Table(title, ("symbol", "module", "share"), tuple(rows))


def added(first: Profile, second: Profile, count: int) -> Table:
    """What differs most between two profiles, then all that is left of the difference."""
    ours, others = first.by_symbol(), second.by_symbol()
    differences = {
        key: ours.get(key, 0.0) - others.get(key, 0.0) for key in dict.fromkeys([*ours, *others])
    }
    largest = sorted(differences, key=lambda key: -abs(differences[key]))[:count]
    rows = [
        (name, module, *microseconds(ours.get((module, name), 0), others.get((module, name), 0)))
        for module, name in largest
    ]
    rest = [sum(each[key] for key in each if key not in largest) for each in (ours, others)]
    rows.append(("all others", "", *microseconds(*rest)))
    rows.append(("a request", "", *microseconds(first.each_us, second.each_us)))
    header = ("symbol", "module", "us/request", "against", "added")
    return Table("CPU time of a request in the traffic processes", header, tuple(rows))


def microseconds(ours: float, others: float) -> tuple[str, str, str]:
    """Both and their difference as text."""
    return f"{ours:.3f}", f"{others:.3f}", f"{ours - others:+.3f}"


def record(pids: list[int], seconds: int, target: Path) -> None:
    """Samples the processes' stacks into a file."""
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-o", str(target)]
    command += ["-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
    subprocess.run(command, check=True, capture_output=True)


def read(source: Path) -> list[Symbol]:
    """The symbols of a recorded file, largest share first."""
    command = ["perf", "report", "--stdio", "-q", "-g", "none", "--no-children", "-i", str(source)]
    command += ["--sort", "dso,symbol"]
    return parse(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def sample(made: Rig, running: Running, asked: argparse.Namespace) -> Profile:
    """Runs load for a little longer than perf watches."""
    load = wrk.Load(
        url=f"http://127.0.0.1:{running.port}{answers.PATH}",
        body=made.body_file(bodies.chat_request(asked.model)),
        seconds=asked.seconds + 2,
    )
    is_first = running.name == asked.peer
    target = asked.keep if asked.keep and is_first else made.scratch / "perf.data"
    meter = Meter(running)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(wrk.run, load)
        record(running.traffic_pids(), asked.seconds, target)
        requests = loading.result().requests
    return Profile(read(target), meter.spent().traffic.total_us / max(1, requests))


def sampled(made: Rig, asked: argparse.Namespace, name: str) -> Profile:
    """The profile of a peer that is started for it."""
    with proxy(made, PEERS[name]) as running:
        return sample(made, running, asked)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--model", default="chat", help="the request's model: the route")
    parser.add_argument("--peer", default="gateway", choices=PEERS)
    parser.add_argument("--against", choices=PEERS, help="another one, for what differs")
    parser.add_argument("--symbols", type=int, default=30, help="rows to print")
    parser.add_argument("--keep", type=Path, help="where to keep perf's file, for perf report")
    asked = parser.parse_args(arguments)
    cores = cores_among(tuple(os.sched_getaffinity(0)))
    raise_open_files()
    with pinned(cores.load), rig(cores) as made:
        first = sampled(made, asked, asked.peer)
        second = sampled(made, asked, asked.against) if asked.against else None
    shown = added(first, second, asked.symbols) if second else table(first, asked.symbols)
    make_console().print(drawn(shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
