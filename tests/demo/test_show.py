"""`gateway demo` as a user runs it: real processes, to their end."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Why no port: 8080 is what the README's own gateway takes, in a test beside this one.
COMMAND = (sys.executable, "-m", "gateway", "demo", "--port", "0")
END_S = 40

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(60)]


def environ(folder: Path) -> dict[str, str]:
    """So that what it leaves in the temporary directory can be seen."""
    return os.environ | {"TMPDIR": str(folder), "COLUMNS": "200"}


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have to do with the folder."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if str(folder) in line]


@pytest.fixture
def folder() -> Iterator[Path]:
    # Why not tmp_path: a Unix socket's path has a bound, and pytest's own folders are long.
    with tempfile.TemporaryDirectory(prefix="d-") as name:
        yield Path(name)


def test_bounded_demo_shows_fail_over_and_recovery_and_fails_nobody(folder: Path) -> None:
    command = [*COMMAND, "--plain", "--seconds", "8"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environ(folder), timeout=END_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    summary = done.stdout
    rows = re.findall(r"^ (\w[\w-]*) .*?(\d+) +(\d+)% +(?:\d+%|-) ", summary, re.MULTILINE)
    assert len(rows) == 8, summary
    assert sum(int(attempts) > 0 for _name, attempts, _share in rows) >= 5, summary
    answered, failed = map(int, re.findall(r"Clients +(\d+) answered, (\d+) failed", summary)[0])
    assert answered > 100
    assert failed == 0
    assert int(re.findall(r"Fail-over +(\d+) answered", summary)[0]) > 0
    assert re.search(r"Breaker +thrifty: opened after .*closed after", summary), summary
    assert re.search(r"Rollouts +fraud-c rolled back after", summary), summary
    assert re.search(r"^Answered by \w+ in ", summary, re.MULTILINE), summary
    assert "could not be reached" in summary or "retry" in summary, summary
    assert "Decided again from the record and its plan: the same." in summary
    figures = re.findall(
        r"Log +(\d+) appended = (\d+) shipped to the store \+ (\d+) waiting \+ (\d+) dropped",
        summary,
    )
    appended, shipped, waiting, dropped = map(int, figures[0])
    assert appended == shipped + waiting + dropped
    assert appended > 100
    assert dropped == 0
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []


def test_interrupted_demo_ends_cleanly_on_a_terminal(folder: Path) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        COMMAND,
        stdin=side,
        stdout=side,
        stderr=side,
        env=environ(folder) | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(side)
    seen, is_told = b"", False
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                seen += os.read(main, 1 << 16)
            except OSError:  # the terminal's other side is closed
                break
        if not is_told and "BACKEND" in seen.decode(errors="replace"):
            process.send_signal(signal.SIGINT)
            is_told = True
    os.close(main)
    text = seen.decode(errors="replace")
    assert process.wait(END_S) == 0, text[-3000:]
    assert is_told
    assert "Traceback" not in text
    after = text.rpartition("\x1b[?1049l")[2]  # the sums stand on the usual screen
    assert "Clients" in after
    assert "appended = " in after
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []
