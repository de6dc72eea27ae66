"""Real processes, small ones; the test's thread plays whoever sends the signals."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.supervisor import (
    BRIEF_PAUSE_S,
    LONGEST_PAUSE_S,
    MISCONFIGURED,
    NO_SEAT,
    Phase,
    Post,
    Supervisor,
    notify_systemd,
    pause_after_failures,
)

# Writes what happens to it into a file, one line an event: `name seat event`.
CHILD = """
import os, signal, sys, time
name, seat, ready, diary, kind = sys.argv[1:]
def write(event):
    fd = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{name} {seat} {event} {os.getpid()}\\n".encode())
def on(number, frame):
    write(signal.Signals(number).name)
    if number == signal.SIGTERM and kind != "stubborn":
        if kind == "slow":
            time.sleep(0.2)
        write("end")
        os._exit(0)
if kind == "late":
    time.sleep(0.3)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, on)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
write("start")
if kind.startswith("code"):
    sys.exit(int(kind[4:]))
if kind == "weak-successor" and int(seat) > 0:
    sys.exit(3)
if kind == "once" and open(diary).read().count("start") > 1:
    sys.exit(3)
os.write(int(ready), b"1")
while True:
    signal.pause()
"""

WAIT_S = 10.0


class Scene:
    """A supervisor, the diary of its processes, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.diary = folder / "diary"
        self.diary.touch()
        self.cleared: list[int] = []
        self.said: list[str] = []
        self.supervisor = Supervisor([], hard_stop_s=0, clear_seat=self.cleared.append)
        self.failure: BaseException | None = None

    def post(self, name: str, kind: str = "plain", **settings: object) -> Post:
        def command(seat: int, ready: int) -> list[str]:
            words = (name, str(seat), str(ready), str(self.diary), kind)
            return [sys.executable, "-S", "-E", "-c", CHILD, *words]

        return Post(name=name, command=command, **settings)  # type: ignore[arg-type]

    def run(self, *posts: Post, play: Callable[[], None], hard_stop_s: float = 5.0) -> int:
        """Runs until `play`, in a thread of its own, is over and the supervisor has ended."""
        self.supervisor = Supervisor(
            posts,
            hard_stop_s=hard_stop_s,
            clear_seat=self.cleared.append,
            notify=self.said.append,
        )
        player = threading.Thread(target=self._played, args=(play,))
        player.start()
        code = self.supervisor.run()
        player.join()
        if self.failure:
            raise self.failure
        return code

    def _played(self, play: Callable[[], None]) -> None:
        try:
            self.wait_for(lambda: self.supervisor.phase is not Phase.STARTING)
            play()
        except BaseException as error:  # noqa: BLE001 - it is raised where the test can see it
            self.failure = error
        finally:
            if self.supervisor.phase is not Phase.ENDING:
                os.kill(os.getpid(), signal.SIGTERM)

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        until = time.monotonic() + WAIT_S
        while not is_true():
            assert time.monotonic() < until, f"waited in vain; so far:\n{self.diary.read_text()}"
            time.sleep(0.005)

    def wait_for_event(self, event: str, count: int = 1) -> None:
        self.wait_for(lambda: len(self.events(event)) >= count)

    def events(self, wanted: str = "") -> list[str]:
        """Lines without their pid, of one event or all."""
        lines = (line.rpartition(" ")[0] for line in self.diary.read_text().splitlines())
        return [line for line in lines if line.endswith(wanted)]

    def pid(self, name: str) -> int:
        """Of the process that started last at this post."""
        lines = [line for line in self.diary.read_text().splitlines() if "start" in line]
        return int([line for line in lines if line.startswith(f"{name} ")][-1].split()[-1])

    def is_ready(self) -> bool:
        """Whether the process at the first post is."""
        current = self.supervisor.places[0].current
        return current is not None and current.is_ready

    def nothing(self) -> None:
        """A play in which nothing happens but the end."""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_every_post_is_filled_and_readiness_told_once(scene: Scene) -> None:
    code = scene.run(scene.post("a"), scene.post("b", seats=(0, 2)), play=scene.nothing)
    assert code == 0
    assert sorted(scene.events("start")) == [f"a {NO_SEAT} start", "b 0 start"]
    assert scene.said == ["READY=1", "STOPPING=1"]


def test_killed_process_is_replaced_and_its_seat_cleared(scene: Scene) -> None:
    def play() -> None:
        os.kill(scene.pid("a"), signal.SIGKILL)
        scene.wait_for_event("start", 2)

    scene.run(scene.post("a", seats=(0, 1)), play=play)
    assert scene.events("start") == ["a 0 start", "a 0 start"]
    assert scene.cleared[0] == 0


def test_post_is_told_to_end_when_those_of_lower_turns_have_ended(scene: Scene) -> None:
    last, middle = scene.post("last", ends_in_turn=2), scene.post("middle", "slow", ends_in_turn=1)
    scene.run(last, middle, scene.post("a", "slow"), play=scene.nothing)
    events = [event for event in scene.events() if not event.endswith("start")]
    assert events == [
        f"{name} {NO_SEAT} {event}"
        for name in ("a", "middle", "last")
        for event in ("SIGTERM", "end")
    ]


def test_process_that_is_born_deaf_hears_the_end_when_it_listens(scene: Scene) -> None:
    late = scene.post("late", "late", is_born_deaf=True, is_awaited=False)
    scene.run(late, scene.post("a"), play=scene.nothing)
    assert scene.events("SIGTERM")[-1] == f"late {NO_SEAT} SIGTERM"
    assert scene.events("end")[-1] == f"late {NO_SEAT} end"


def test_gateway_is_ready_without_a_process_that_nobody_waits_for(scene: Scene) -> None:
    code = scene.run(
        scene.post("a"), scene.post("b", "code1", is_awaited=False), play=scene.nothing
    )
    assert code == 0
    assert scene.said == ["READY=1", "STOPPING=1"]


def test_process_that_does_not_end_is_killed_after_the_hard_stop(scene: Scene) -> None:
    began = time.monotonic()
    scene.run(scene.post("a", "stubborn"), play=scene.nothing, hard_stop_s=0.3)
    assert scene.events("SIGTERM") == [f"a {NO_SEAT} SIGTERM"]
    assert time.monotonic() - began < WAIT_S


def test_second_signal_ends_everything_at_once(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGINT)
        scene.wait_for_event("SIGTERM")
        send(signal.SIGINT)

    began = time.monotonic()
    scene.run(scene.post("a", "stubborn"), play=play, hard_stop_s=60)
    assert time.monotonic() - began < WAIT_S


def test_hangup_is_passed_to_the_posts_that_take_it(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGHUP)
        scene.wait_for_event("SIGHUP")

    scene.run(scene.post("a"), scene.post("control", takes_hangup=True), play=play)
    assert scene.events("SIGHUP") == [f"control {NO_SEAT} SIGHUP"]


def test_rolling_restart_has_a_successor_ready_before_the_old_one_is_told(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGUSR2)
        scene.wait_for_event("end", 2)

    scene.run(
        scene.post("a", seats=(0, 2)),
        scene.post("b", seats=(1, 3)),
        scene.post("control", rolls=False),
        play=play,
    )
    rolled = scene.events()[3:7]
    assert rolled[0] == "a 2 start"
    assert "a 0 SIGTERM" in rolled
    assert scene.events("start")[-1] == "b 3 start"
    assert scene.events().index("a 2 start") < scene.events().index("a 0 SIGTERM")
    assert scene.events().index("b 3 start") < scene.events().index("b 1 SIGTERM")


def test_old_process_retires_by_the_signal_of_its_post(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGUSR2)
        scene.wait_for_event("SIGUSR1")

    scene.run(scene.post("a", retires_by=signal.SIGUSR1, seats=(0, 1)), play=play, hard_stop_s=0.3)
    assert scene.events("SIGUSR1") == ["a 0 SIGUSR1"]


def test_successor_that_ends_leaves_the_old_process_in_place(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGUSR2)
        scene.wait_for_event("a 1 start")
        scene.wait_for(lambda: scene.cleared == [1])
        assert not scene.events("SIGTERM")

    scene.run(scene.post("a", "weak-successor", seats=(0, 1)), play=play)
    assert scene.events("start") == ["a 0 start", "a 1 start"]


def test_second_rolling_restart_waits_for_a_seat(scene: Scene) -> None:
    def play() -> None:
        send(signal.SIGUSR2)
        scene.wait_for_event("a 0 SIGTERM")
        send(signal.SIGUSR2)
        scene.wait_for_event("start", 3)

    scene.run(scene.post("a", "stubborn", seats=(0, 1)), play=play, hard_stop_s=0.4)
    assert scene.events("start") == ["a 0 start", "a 1 start", "a 0 start"]


def test_process_that_is_misconfigured_at_the_start_ends_the_gateway(scene: Scene) -> None:
    code = scene.run(scene.post("a", f"code{MISCONFIGURED}"), scene.post("b"), play=scene.nothing)
    assert code == 1


def test_signals_are_as_before_afterwards(scene: Scene) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)]
    scene.run(scene.post("a"), play=scene.nothing)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)] == before


def test_process_inherits_only_the_descriptors_of_its_post(scene: Scene, tmp_path: Path) -> None:
    listing = tmp_path / "fds"
    program = (
        "import os, sys, signal\n"
        f"open({str(listing)!r}, 'w').write(' '.join(os.listdir('/proc/self/fd')))\n"
        "os.write(int(sys.argv[1]), b'1')\n"
        "signal.pause()\n"
    )
    with socket.socket() as given, socket.socket():
        post = Post(
            name="a",
            command=lambda _seat, ready: [sys.executable, "-S", "-c", program, str(ready)],
            fds=(given.fileno(),),
        )
        scene.run(post, play=scene.nothing)
        inherited = {int(number) for number in listing.read_text().split()}
        assert given.fileno() in inherited
        assert len(inherited) <= 7  # standard ones, given, ready, the listing and its folder


@pytest.mark.parametrize(
    "failures,pause_s", [(1, 0.0), (2, 0.1), (3, 0.2), (5, 0.8), (50, LONGEST_PAUSE_S)]
)
def test_pause_grows_with_the_processes_that_were_never_ready(
    failures: int, pause_s: float
) -> None:
    assert pause_after_failures(failures) == pytest.approx(pause_s)


def test_process_killed_ten_times_in_a_row_is_back_soon_each_time(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    def play() -> None:
        for _ in range(10):
            scene.wait_for(scene.is_ready)
            os.kill(scene.pid("a"), signal.SIGKILL)
            scene.wait_for(lambda: not scene.is_ready())
        scene.wait_for(scene.is_ready)

    scene.run(scene.post("a", seats=(0, 1)), play=play)
    assert pauses_s(caplog) == [0.0] + [BRIEF_PAUSE_S] * 9


def test_process_that_is_never_ready_waits_longer_each_time(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    def play() -> None:
        os.kill(scene.pid("a"), signal.SIGKILL)
        scene.wait_for_event("start", 5)

    scene.run(scene.post("a", "once"), play=play)
    assert pauses_s(caplog)[:4] == [0.0, 0.0, 0.1, 0.2]  # the first one was ready


def pauses_s(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Before each restart, as the log has it."""
    return [vars(record)["restart_in_s"] for record in caplog.records if "ended" in record.message]


def test_systemd_is_told_where_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        notify_systemd("READY=1", str(tmp_path / "notify"))
        assert systemd.recv(100) == b"READY=1"
    notify_systemd("READY=1", "")
