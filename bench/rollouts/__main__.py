"""`python -m bench.rollouts`: real gateway, real sockets, one rollout after the other.

For each scenario a gateway with two workers, a stand-in champion and challenger, and
clients that ask without a pause; rollouts are started by hand, each with a salt of its
own, and watched until they end. What is kept is how many requests the challenger got, how
long it took, and how long the verdict was on its way to the last worker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.rollouts.scenarios import ERRORS, SCENARIOS, TOKENS, Scenario

LOOK_S = 0.05
START_S = 30.0
ENDED = {"rolled_back", "promoted", "aborted"}

CONFIGURATION = """\
listen: {{host: 127.0.0.1, port: {port}}}
admin: {{port: {admin}}}
workers: 2
state: {state}
drain: {{lame_duck: 0s, hard_stop: 1s}}
defaults: {{breaker: {{consecutive: 0, failure_share: 100%}}, retry: {{attempts: 1}}}}
backends:
  champion: {{protocol: openai, url: "http://127.0.0.1:{champion}/v1", price: {{output: 10}}}}
  challenger: {{protocol: openai, url: "http://127.0.0.1:{challenger}/v1", price: {{output: 10}}}}
routes:
  chat: {{backends: [champion]}}
"""

ROLLOUT = """\
route: chat
arms: {{challenger: {{backends: [challenger]}}}}
steps: {steps}
minimum: {{time: 2s, samples: 200}}
gates: [{gate}]
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(LOOK_S)


class Gateway:
    """The admin port of one that runs."""

    def __init__(self, admin: int) -> None:
        self.url = f"http://127.0.0.1:{admin}/api/v1/rollouts"

    def call(self, path: str = "", body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.url + path, data, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def run(self, name: str, scenario: Scenario) -> dict[str, Any]:
        """One rollout from its start to its end."""
        text = ROLLOUT.format(steps=scenario.steps(), gate=scenario.gate)
        began_s = time.monotonic()
        self.call(f"/{name}/start", {"text": text})
        until = began_s + scenario.give_up_s
        while (view := self.call(f"/{name}"))["phase"] not in ENDED and time.monotonic() < until:
            time.sleep(LOOK_S)
        took_s = time.monotonic() - began_s
        if view["phase"] not in ENDED:
            self.call(f"/{name}/abort", {"reason": "the benchmark gives up"})
        elif view["phase"] == "promoted":
            self.call(f"/{name}/undo", {})  # Why: it would stand beside the next one
        return {
            "phase": view["phase"],
            "requests": given_to_challenger(view),
            "took_s": took_s,
            "propagation_ms": (view["propagation_s"] or 0.0) * 1000,
            "says": view["sentence"],
        }


def given_to_challenger(view: dict[str, Any]) -> int:
    counts = {arm["name"]: arm for arm in view["arms"]}
    return int(counts["challenger"]["assigned"])


def measure(scenario: Scenario, runs: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        port, admin, champion, challenger = (free_port() for _ in range(4))
        config = Path(folder, "gateway.yaml")
        config.write_text(
            CONFIGURATION.format(
                port=port, admin=admin, state=folder, champion=champion, challenger=challenger
            )
        )
        backend = ("-m", "bench.rollouts.backend")
        stack.enter_context(running(*backend, str(champion), str(ERRORS), "1", str(TOKENS)))
        sick = (str(scenario.errors), str(scenario.tail), str(scenario.tokens))
        stack.enter_context(running(*backend, str(challenger), *sick))
        stack.enter_context(running("-m", "gateway", "serve", "-c", str(config)))
        gateway = Gateway(admin)
        wait_for(f"http://127.0.0.1:{port}/readyz")
        wait_for(gateway.url)
        likes = (str(scenario.champion_likes), str(scenario.likes))
        traffic = ("-m", "bench.rollouts.traffic", str(port), str(scenario.connections), *likes)
        stack.enter_context(running(*traffic))
        return [gateway.run(f"run-{number}", scenario) for number in range(runs)]


def line(scenario: Scenario, found: list[dict[str, Any]]) -> str:
    right = [one for one in found if one["phase"] == scenario.ends]
    requests = [one["requests"] for one in right] or [0]
    took = [one["took_s"] for one in right] or [0.0]
    ways = [one["propagation_ms"] for one in right if one["propagation_ms"]] or [0.0]
    promised = str(scenario.most_requests or "")
    return (
        f"| {scenario.name} | {len(right)} of {len(found)} {scenario.ends.replace('_', ' ')} "
        f"| {statistics.median(requests):,.0f} | {promised} | {max(requests):,} "
        f"| {statistics.median(took):.1f} | {max(ways):.0f} |"
    )


HEAD = (
    "| challenger | outcome | its requests until then, median | promised | most | seconds, median "
    "| verdict to last worker, most ms |\n| --- | --- | --: | --: | --: | --: | --: |"
)


def table(kept: dict[str, list[dict[str, Any]]]) -> str:
    """What was measured, as `bench/README.md` has it."""
    lines = [line(one, kept[one.name]) for one in SCENARIOS if one.name in kept]
    return "\n".join([HEAD, *lines]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.rollouts", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each scenario")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--output", type=Path, help="file for what was measured, JSON")
    given = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path.cwd()))
    kept: dict[str, list[dict[str, Any]]] = {}
    print(HEAD)
    for scenario in SCENARIOS:
        if given.only in scenario.name:
            kept[scenario.name] = measure(scenario, given.runs)
            print(line(scenario, kept[scenario.name]), flush=True)
            if given.output:
                given.output.write_text(json.dumps(kept, indent=1) + "\n")
    wrong = [name for name, found in kept.items() for one in found if one["phase"] not in ENDED]
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
