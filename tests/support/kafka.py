"""A Kafka broker for the tests, shared by every process that runs tests on this machine.

In this order: the broker that GATEWAY_TEST_KAFKA=host:port names, else one of Apache's own
jars, kept by a process of its own (`python -m tests.support.kafka FOLDER`), else the test
is skipped with a sentence; with CI=true it fails instead.

The keeper belongs to nobody's children. Each user holds a shared lock on `users`; when the
keeper can have it alone for a while, the last one has gone, and it ends its broker.

Rule 1: nobody kills the shared broker; tests that must have `killable_kafka`, their own.
Rule 2: topics on a shared broker have names of chance (`new_topic`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from tests.support import kafka_broker
from tests.support.kafka_broker import START_S, Address, Broker
from tests.support.kafka_jars import KAFKA_VERSION, KafkaUnavailable, cache, locked

GRACE_S = 3.0  # without users, before the keeper ends
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Address]:
    """The shared broker, or the one that the environment names."""
    given = os.environ.get("GATEWAY_TEST_KAFKA")
    if given:
        yield Address(plain=given)
        return
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(shared_broker())
        except KafkaUnavailable as error:
            do_without(error)
        yield address


@pytest.fixture
def secured_kafka(kafka: Address) -> Address:
    """A shared broker with all listeners."""
    if not kafka.sasl:
        pytest.skip("GATEWAY_TEST_KAFKA names a broker, not its listeners with SASL and TLS")
    return kafka


@pytest.fixture
def killable_kafka(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own."""
    with contextlib.ExitStack() as stack:
        try:
            broker = stack.enter_context(Broker(tmp_path / "kafka"))
        except KafkaUnavailable as error:
            do_without(error)
        yield broker


def do_without(error: KafkaUnavailable) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs a Kafka broker: {error}")
    pytest.skip(f"no Kafka broker: {error}")


def new_topic(prefix: str = "records") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


# -- the shared broker


@contextlib.contextmanager
def shared_broker() -> Iterator[Address]:
    """The address of the shared broker, which runs at least until the context ends."""
    place = _place()
    with contextlib.ExitStack() as stack:
        # Why both: who holds `door` decides whether there is a keeper and whether it goes.
        with locked(place / "door", START_S):
            stack.enter_context(locked(place / "users", START_S, shared=True))
            if not _is_kept(place):
                _start_keeper(place)
        yield _address(place)


def _place() -> Path:
    """Its folder: another version, or another configuration, is another broker."""
    made_of = Path(kafka_broker.__file__).read_bytes() + KAFKA_VERSION.encode()
    return cache() / f"shared-{hashlib.sha256(made_of).hexdigest()[:12]}"


def _is_kept(place: Path) -> bool:
    try:
        with locked(place / "keeper", 0.0):
            return False
    except KafkaUnavailable:
        return True


def _start_keeper(place: Path) -> None:
    (place / "address.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.support.kafka", str(place)]
    with (place / "keeper.txt").open("wb") as output:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=10,
            check=False,
        )
    if done.returncode:
        raise KafkaUnavailable((place / "keeper.txt").read_text()[-1000:])


def _address(place: Path) -> Address:
    deadline = time.monotonic() + 2 * START_S
    while not (place / "address.json").exists():
        if not _is_kept(place) or time.monotonic() > deadline:
            raise KafkaUnavailable((place / "keeper.txt").read_text()[-1000:])
        time.sleep(0.05)
    return msgspec.json.decode((place / "address.json").read_bytes(), type=Address)


# -- the keeper


def keep(place: Path) -> None:
    """Run a broker until nobody uses it any more."""
    with locked(place / "keeper", START_S):
        if os.fork():
            os._exit(0)  # Why: the lock goes on with the child, which has no parent to wait for it
        os.setsid()
        # Safety: ended by a signal, it still ends its broker and removes its folder.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with tempfile.TemporaryDirectory(prefix="kafka-") as folder, Broker(Path(folder)) as broker:
            written = place / "address.json.new"
            written.write_bytes(msgspec.json.encode(broker.address))
            written.rename(place / "address.json")
            with _unused(place):
                (place / "address.json").unlink()
                broker.kill()


@contextlib.contextmanager
def _unused(place: Path) -> Iterator[None]:
    """Enter when nobody has used the broker for a while; whoever comes then waits at the door."""
    unused_s = 0.0
    while True:
        time.sleep(0.25)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(place / "door", 0.0))
                stack.enter_context(locked(place / "users", 0.0))
            except KafkaUnavailable:
                unused_s = 0.0
                continue
            unused_s += 0.25
            if unused_s >= GRACE_S:
                yield
                return


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
