"""Starts the stream generator and talks to it over its pipes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load.peers import ROOT

PATIENCE_S = 60  # for opening the connections and for the streams in flight at the end
Figures = dict[str, float]


class Generator:
    """A running generator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> Figures:
        """The next figures it prints; raises RuntimeError when it ends without."""
        assert self.process.stdout
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError(f"the generator ended with status {self.process.wait()}")
        figures: Figures = json.loads(text)
        return figures

    def finish(self) -> Figures:
        """Tells it to stop; its last figures."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.line()


@contextmanager
def generator(way: str, port: int, **wishes: float) -> Iterator[Generator]:
    """The generator on the cores of this process; ended on leaving."""
    command = [sys.executable, "-m", "bench.load.generator", way, "--port", str(port)]
    for name, value in wishes.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        watchdog = threading.Timer(wishes["seconds"] + PATIENCE_S, process.kill)
        watchdog.start()
        try:
            yield Generator(process)
        finally:
            watchdog.cancel()
            process.kill()
