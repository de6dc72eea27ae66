"""Runs every `bench/micro/*.py` and collects the JSON lines they print.

Each runs in a process of its own, pinned to the proxy's core, so that none warms or
fills the caches of another.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.load.peers import ROOT
from bench.results import Kernel

MICRO = Path(__file__).with_name("micro")
PATIENCE_S = 120


def parse(output: str) -> list[Kernel]:
    """The times among a program's lines; other lines are for people."""
    kernels = []
    for line in output.splitlines():
        figure = json.loads(line) if line.startswith("{") else {}
        if "ns" in figure:
            kernels.append(Kernel(figure["name"], float(figure["ns"])))
    return kernels


def run(core: str, say: Callable[[str], None]) -> tuple[list[Kernel], dict[str, str]]:
    """All figures, and a sentence for each program that failed."""
    kernels: list[Kernel] = []
    failures: dict[str, str] = {}
    for path in sorted(MICRO.glob("[!_]*.py")):
        found, failure = run_one(path.stem, core)
        kernels += found
        for kernel in found:
            say(f"micro {kernel.name:40} {kernel.ns:10.1f} ns")
        if failure:
            failures[f"micro {path.stem}"] = failure
    return kernels, failures


def run_one(name: str, core: str) -> tuple[list[Kernel], str]:
    """One program's figures, or the sentence that says why there are none."""
    command = ["taskset", "-c", core, sys.executable, "-m", f"bench.micro.{name}"]
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [], f"bench/micro/{name}.py took more than {PATIENCE_S} s"
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return [], f"bench/micro/{name}.py failed: {last}"
    return parse(ran.stdout), ""
