"""What may go wrong with the prediction log, one at a time: requests are answered all the same.

A broker that is away, a disk that is full, checkpoints and tails that are lost, a directory
that nobody may write to, a topic or a password that is wrong; and the time that it all takes.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import shutil
import signal
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.log.manifest import Manifest, Sealed
from tests.kafka.lines import create_topic
from tests.support.accounts import (
    Consumed,
    assert_everybody_agrees,
    assert_verified,
    consumed,
    final_figures,
    gaps_of,
)
from tests.support.asking import Asked, Asking, asked_in_process
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.kafka import kafka, killable_kafka, new_topic, secured_kafka
from tests.support.kafka_broker import USERS, Address, Broker, free_ports
from tests.support.logged import await_delivery, figures_of, kafka_log, logged, metric, sentence_of
from tests.support.openai_model import OpenAIModel
from tests.support.waiting import until

__all__ = ["kafka", "killable_kafka", "secured_kafka"]

IS_SLOW = bool(os.environ.get("RUN_SLOW"))
AWAY_S = 600.0 if IS_SLOW else 15.0
DAMAGES = 20 if IS_SLOW else 3
DISK_BYTES = 6 << 20
NICENESS = 10  # of the shipper, as by default, where it is told how long answers take
KAFKA = '{sink="kafka"}'
LONG = 20_000  # bytes of a question that fills the disk soon

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900 if IS_SLOW else 150)]

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount a small disk for the log"
)


# -- a broker that is away


def p99_s(asked: Sequence[Asked]) -> float:
    """Of the answers that come whole at once."""
    return statistics.quantiles([one.seconds for one in asked if one.kind == "chat"], n=100)[98]


def test_broker_that_is_away_slows_no_request_and_gets_everything_later(
    make_backend: MakeBackend, make_process: MakeProcess, killable_kafka: Broker
) -> None:
    topic = new_topic()
    gateway = make_process(
        logged(make_backend, kafka_log(killable_kafka.bootstrap, topic, niceness=NICENESS))
    )

    def ask(seconds: float) -> list[Asked]:
        kinds = ("chat", "stream", "chat", "echo", "feedback")
        return asked_in_process([gateway.address], 60.0, seconds, kinds)

    before = ask(4.0)
    killable_kafka.kill()
    away = ask(AWAY_S)
    until(lambda: "kafka takes no records: no broker answers at" in sentence_of(gateway), 20.0)
    waiting = metric(gateway, "gateway_log_sink_waiting", KAFKA)
    assert waiting >= 0.9 * len(away)
    killable_kafka.start()
    after = ask(4.0)
    asked = before + away + after
    assert {one.is_whole for one in asked} == {True}
    usual = max(p99_s(before), p99_s(after))
    log.info("p99 %.1f ms with a broker, %.1f ms without", 1000 * usual, 1000 * p99_s(away))
    assert p99_s(away) < 3 * usual + 0.05, f"{p99_s(away)} s; with a broker {usual} s"
    await_delivery(gateway)
    gateway.stop()
    state = gateway.folder / "state"
    assert_everybody_agrees(state, killable_kafka.bootstrap, topic, asked)


# -- a disk that is full


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A small disk of its own there."""
    place.mkdir(mode=0o700, parents=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("mode=0700", *options)), "tmpfs"]
    done = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no small disk: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The log's directory on a disk of a few segments."""
    place = tmp_path / "state" / "log"
    (tmp_path / "state").mkdir(mode=0o700)
    with mounted(place, f"size={DISK_BYTES}"):
        yield place


def dropped_by_workers(gateway: GatewayProcess) -> float:
    return metric(gateway, "gateway_records_dropped_total")


def has_room_for(count: int, asking: Asking, gateway: GatewayProcess) -> bool:
    """Whether so many more answers were all recorded."""
    dropped = dropped_by_workers(gateway)
    asking.await_answers(count)
    return dropped_by_workers(gateway) == dropped


def nobody() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@needs_mount
@pytest.mark.usefixtures("small_disk")
def test_full_disk_drops_records_counts_them_exactly_and_answers_go_on(
    make_backend: MakeBackend, make_process: MakeProcess, kafka: Address
) -> None:
    topic = new_topic()
    given = logged(make_backend, kafka_log(nobody(), topic), payload="full", workers=1)
    gateway = make_process(given)
    with Asking(gateway.address, 100.0, ("chat", "stream"), padding=LONG) as asking:
        until(lambda: dropped_by_workers(gateway) > 100, 60.0, gateway.log)
        assert {one.status for one in asking.await_answers(50)} == {200}
        assert "no room for the log in" in gateway.log()
        assert "No space left on device" in gateway.log()
        gateway.apply({**given, "log": kafka_log(kafka.plain, topic)})
        until(lambda: "the log has room again" in gateway.log(), 60.0, gateway.log)
        # Why until then: drops behind the last line leave no gap that a reader could see.
        until(lambda: has_room_for(50, asking, gateway), 60.0, gateway.log)
    await_delivery(gateway)
    dropped = dropped_by_workers(gateway)
    gateway.stop()
    assert {one.status for one in asking.asked} == {200}
    assert_drops_are_counted(gateway, kafka, topic, asking.asked, int(dropped))


def assert_drops_are_counted(
    gateway: GatewayProcess, kafka: Address, topic: str, asked: Sequence[Asked], dropped: int
) -> Consumed:
    """Each answer has a record or was dropped, and everyone says how many."""
    state = gateway.folder / "state"
    found = consumed(kafka.plain, topic)
    assert found.disorder == ()
    assert gaps_of(found.lines.values()) == dropped
    assert len(found.lines) + dropped == len(asked)
    for sink in final_figures(state).sinks:
        balance = (sink.name, sink.appended, sink.shipped, sink.waiting, sink.dropped)
        assert balance == (sink.name, len(asked), len(found.lines), 0, dropped)
    assert_verified(state)
    return found


@needs_mount
@pytest.mark.usefixtures("small_disk")
def test_full_disk_refuses_requests_where_nothing_may_be_dropped(
    make_backend: MakeBackend, make_process: MakeProcess, kafka: Address
) -> None:
    topic = new_topic()
    given = logged(
        make_backend, kafka_log(nobody(), topic, on_full="shed"), payload="full", workers=1
    )
    gateway = make_process(given)
    with Asking(gateway.address, 100.0, ("chat",), padding=LONG) as asking:
        until(lambda: any(one.code == "log_full" for one in asking.asked), 60.0, gateway.log)
        assert {one.status for one in asking.asked if one.code == "log_full"} == {503}
        gateway.apply({**given, "log": kafka_log(kafka.plain, topic, on_full="shed")})
        until(lambda: all(one.status == 200 for one in asking.await_answers(20)), 60.0, gateway.log)
    await_delivery(gateway)
    dropped = int(dropped_by_workers(gateway))
    gateway.stop()
    found = assert_drops_are_counted(gateway, kafka, topic, asking.asked, dropped)
    recorded = {line.request_id for line in found.lines.values()}
    assert {one.id for one in asking.asked if one.status == 200} <= recorded


# -- what a crash may take


def garbage(chance: random.Random) -> bytes:
    """What may stand behind the last newline of a file that nobody finished."""
    noise = bytes(chance.randrange(1, 256) for _ in range(chance.randrange(1, 3000)))
    return chance.choice(
        [
            b'{"v":1,"id":"0193-cut-off-in-the-middle","request_id":"as',
            noise.replace(b"\n", b" "),
            noise,
            b"nobody's line\n",
            b'{"v":1,"kind":"prediction"}\n{"v":',
        ]
    )


def spoil(path: Path, chance: random.Random) -> bool:
    """Write garbage behind the last line of the segment, if its writer has gone."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        data = file.read()
        end = len(data.rstrip(b"\0"))
        if not end:
            return False
        file.seek(end)
        file.write(garbage(chance)[: len(data) - end])
    return True


def test_lost_checkpoints_and_damaged_tails_cost_duplicates_only(
    make_backend: MakeBackend, make_process: MakeProcess, kafka: Address
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    chance, topic, spoiled = random.Random(seed), new_topic(), 0
    gateway = make_process(logged(make_backend, kafka_log(kafka.plain, topic)))
    directory = gateway.folder / "state" / "log"
    with Asking(gateway.address, 120.0) as asking:
        for _ in range(DAMAGES):
            asking.await_answers(chance.randrange(20, 100))
            shipper = pid_of(gateway, "shipper")
            os.kill(shipper, signal.SIGSTOP)
            worker = pid_of(gateway, f"worker --slot={busiest_slot(directory)}")
            os.kill(worker, signal.SIGKILL)
            until(lambda gone=worker: gone not in gateway.workers(), 10.0)  # type: ignore[misc]
            spoiled += sum(spoil(path, chance) for path in directory.glob("w*.open"))
            lose_checkpoints(directory / "shipper", chance)
            os.kill(shipper, signal.SIGKILL)
            until(lambda gone=shipper: is_replaced(gateway, gone), 60.0, gateway.log)  # type: ignore[misc]
        asking.await_answers(50)
    await_delivery(gateway)
    gateway.stop()
    state = gateway.folder / "state"
    assert_everybody_agrees(state, kafka.plain, topic, asking.asked, is_counted_from_start=False)
    entries = [each for each in Manifest(directory).entries() if isinstance(each, Sealed)]
    assert spoiled, f"seed {seed}"
    assert sum(entry.cut_bytes > 0 for entry in entries) == spoiled, f"seed {seed}"


def lose_checkpoints(place: Path, chance: random.Random) -> None:
    """All of one sink, or some of them torn."""
    if chance.random() < 0.4:
        shutil.rmtree(place / "kafka", ignore_errors=True)
        return
    for path in place.glob("*/[wc]*"):
        if chance.random() < 0.5:
            path.write_bytes(path.read_bytes()[: chance.randrange(60)])


def pid_of(gateway: GatewayProcess, post: str) -> int:
    return next(pid for pid, line in gateway.children().items() if f" gateway {post} " in line)


def busiest_slot(directory: Path) -> str:
    """Of the worker with the most lines in its segment: another may have had no connection."""
    written = {path: len(path.read_bytes().rstrip(b"\0")) for path in directory.glob("w*.open")}
    return max(written, key=written.__getitem__).name.partition("-")[0].removeprefix("w")


def is_replaced(gateway: GatewayProcess, gone: int) -> bool:
    figures = figures_of(gateway)
    return figures is not None and figures["pid"] != gone and gateway.readiness() == 200


# -- time


def test_first_event_and_gaps_of_a_stream_are_the_same_with_the_log(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    model = OpenAIModel("mini", chunks=20, first_s=0.02, gap_s=0.01)
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(GatewayProcess(given, folder))
            for given, folder in with_and_without_log(make_backend, model, tmp_path)
        ]
        addresses = [gateway.address for gateway in gateways]
        asked_in_process(addresses, 20.0, 0.5, ("stream",))  # the first ones dial
        # Why again: on a busy machine the one may have had a worse moment than the other.
        assert any(not slower_with_log(addresses) for _ in range(3))
        gateways[0].stop()
    assert final_figures(tmp_path / "on" / "state").sinks[0].shipped > 0


def slower_with_log(addresses: Sequence[tuple[str, int]]) -> list[str]:
    """What took longer at the first address than at the second, beyond noise."""
    asked = asked_in_process(addresses, 24.0, 20.0 if IS_SLOW else 5.0, ("stream",))
    assert {(one.is_whole, one.status) for one in asked} == {(True, 200)}
    found = differences([[one for one in asked if one.place == place] for place in (0, 1)])
    log.info("streams with and without the log: %s", found or "alike")
    return found


def with_and_without_log(
    make_backend: MakeBackend, model: OpenAIModel, folder: Path
) -> Iterator[tuple[dict[str, object], Path]]:
    for name, is_on in (("on", True), ("off", False)):
        (folder / name).mkdir()
        given = logged(
            make_backend,
            {"enabled": is_on, "niceness": NICENESS},
            payload="full",
            workers=1,
            model=model,
        )
        yield given, folder / name


def differences(asked: list[list[Asked]]) -> list[str]:
    """Where the first, with the log, is slower than the second beyond noise."""
    measures: dict[str, Callable[[list[Asked]], list[float]]] = {
        "first event": lambda of: [one.first_at - one.sent_at for one in of],
        "gaps": lambda of: [gap for one in of for gap in one.gaps_s],
    }
    found = []
    for name, measure in measures.items():
        on, off = (statistics.quantiles(measure(of), n=100) for of in asked)
        log.info("%s: p50 %.2f %.2f, p95 %.2f %.2f ms", name, *figures_ms(on, off))
        for percent, share, extra_s in ((50, 1.1, 0.002), (95, 1.3, 0.010)):
            if on[percent - 1] > share * off[percent - 1] + extra_s:
                found.append(
                    f"{name}, p{percent}: {on[percent - 1]} s, {off[percent - 1]} s without"
                )
    return found


def figures_ms(on: list[float], off: list[float]) -> list[float]:
    return [1000 * of[percent - 1] for percent in (50, 95) for of in (on, off)]


# -- what somebody has to put right


@contextmanager
def unwritable(directory: Path) -> Iterator[None]:
    """Nobody may write there, not even root."""
    if os.geteuid() == 0:
        with mounted(directory, "ro"):
            yield
        return
    directory.mkdir(mode=0o500, parents=True)
    try:
        yield
    finally:
        directory.chmod(0o700)


def test_directory_that_nobody_may_write_to_is_told_and_requests_are_answered(
    make_backend: MakeBackend, make_process: MakeProcess, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    directory = tmp_path / "state" / "log"
    given = logged(make_backend, {"segment": {"size": "1MiB"}}, workers=1)
    with unwritable(directory):
        gateway = make_process(given)
        with Asking(gateway.address, 100.0, ("chat", "stream")) as asking:
            asking.await_answers(50)
            until(lambda: "shipper cannot start: cannot write to" in gateway.log(), 10.0)
            until(lambda: dropped_by_workers(gateway) > 50, 10.0)
        assert {one.status for one in asking.asked} == {200}
        assert gateway.log().count("no room for the log in") == 1
        until(lambda: dropped_by_workers(gateway) == len(asking.asked), 10.0)
        assert metric(gateway, "gateway_log_shipper_up") == 0
        assert "found no room and were dropped" in sentence_of(gateway)
    with Asking(gateway.address, 100.0, ("chat",)) as asking:
        until(lambda: "the log has room again" in gateway.log(), 20.0, gateway.log)
        asking.await_answers(20)
        until(lambda: metric(gateway, "gateway_log_shipper_up") == 1, 30.0, gateway.log)


def test_topic_that_is_missing_is_told_and_what_waited_comes_when_it_is_there(
    make_backend: MakeBackend, make_process: MakeProcess, kafka: Address
) -> None:
    topic = new_topic()
    without_create = kafka_log(kafka.plain, topic, kafka={"create": None})
    gateway = make_process(logged(make_backend, without_create, workers=1))
    with Asking(gateway.address, 100.0, ("chat", "stream", "feedback")) as asking:
        until(lambda: f"the topic {topic} does not exist" in sentence_of(gateway), 20.0)
        assert metric(gateway, "gateway_log_sink_failures", KAFKA) > 0
        asking.await_answers(50)
        for name in (topic, f"{topic}-feedback"):
            asyncio.run(create_topic(kafka.plain, name))
        until(lambda: not metric(gateway, "gateway_log_sink_failures", KAFKA), 60.0, gateway.log)
    await_delivery(gateway)
    gateway.stop()
    assert gateway.log().count(f"the topic {topic} does not exist") == 1
    assert_everybody_agrees(gateway.folder / "state", kafka.plain, topic, asking.asked)


def test_wrong_password_is_told_and_what_waited_comes_with_the_right_one(
    make_backend: MakeBackend, make_process: MakeProcess, secured_kafka: Address
) -> None:
    topic, broker = new_topic(), secured_kafka

    def log_as(password: str) -> dict[str, object]:
        user = {"mechanism": "PLAIN", "username": "gateway", "password": password}
        return kafka_log(broker.sasl, topic, kafka={"sasl": user})

    given = logged(make_backend, log_as("wrong-4242"), workers=1)
    gateway = make_process(given)
    with Asking(gateway.address, 100.0) as asking:
        until(lambda: "refuses user and password of gateway" in sentence_of(gateway), 20.0)
        asking.await_answers(100)
        # Until the store has whole segments that Kafka has not had: those are easily lost.
        until(lambda: metric(gateway, "gateway_log_sink_shipped_total", '{sink="store"}') > 0, 30.0)
        gateway.apply({**given, "log": log_as(USERS["gateway"])})
        asking.await_answers(20)
    await_delivery(gateway)
    gateway.stop()
    assert "wrong-4242" not in gateway.log()
    assert_everybody_agrees(gateway.folder / "state", broker.plain, topic, asking.asked)
