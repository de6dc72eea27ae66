"""The load generator of the chat scenarios: wrk, one thread, a closed loop.

A closed loop hides queueing: a slow proxy is asked less often. The CPU time per
request does not suffer from that; the percentiles do and are read as such.
"""

import json
import os
import subprocess
from pathlib import Path

from msgspec import Struct

from bench.load.bodies import KEY
from bench.results import Errors

SCRIPT = Path(__file__).with_name("chat.lua")


class Load(Struct, frozen=True):
    """One run to make."""

    url: str
    body: Path
    seconds: int
    connections: int = 32
    threads: int = 1


class Outcome(Struct, frozen=True):
    """What wrk counted."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    p999_us: float
    errors: Errors


def parse(output: str) -> Outcome:
    """The figures of chat.lua's JSON line; raises ValueError when wrk never printed it."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"wrk printed no figures: {output.strip()[-200:]!r}")
    figures = json.loads(lines[-1])
    errors = {name: figures[name] for name in ("connect", "read", "write", "timeout", "status")}
    return Outcome(
        requests=figures["requests"],
        seconds=figures["duration_us"] / 1e6,
        p50_us=figures["p50_us"],
        p99_us=figures["p99_us"],
        p999_us=figures["p999_us"],
        errors=Errors(**errors),
    )


def run(load: Load) -> Outcome:
    """One run of wrk, on the cores of this process."""
    command = [
        "wrk",
        f"-t{load.threads}",
        f"-c{load.connections}",
        f"-d{load.seconds}s",
    ]
    command += ["--timeout", "10s", "-s", str(SCRIPT), load.url]
    finished = subprocess.run(
        command,
        env=os.environ | {"BENCH_BODY": str(load.body), "BENCH_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=load.seconds + 30,
        check=False,
    )
    return parse(finished.stdout + finished.stderr)
