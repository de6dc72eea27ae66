"""The wall clock jumps, as it does after a suspend or a bad time server; nothing depends on it.

libfaketime shifts CLOCK_REALTIME of all the gateway's processes while they run; the
monotonic clock, by which everything is timed, stays as it is.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Load
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))), None)
JUMPS = ("-2h", "+30d", "-1s", "+1s", "-20y", "+0")

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime (Debian: faketime) is not installed"),
]


class Clock:
    """The wall clock of whoever runs in its environment."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.jump("+0")

    @property
    def environ(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, offset: str) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(offset)
        fresh.replace(self._file)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def clock(lasting: Clock) -> Clock:
    """It goes right when a test begins."""
    lasting.jump("+0")
    return lasting


@pytest.fixture(scope="module")
def gateway(
    share_backend: MakeBackend, share_process: MakeProcess, lasting: Clock
) -> GatewayProcess:
    settings = echo_settings(share_backend("echo", plays(echo)), workers=2)
    return share_process(settings, environ=lasting.environ)


def date_of(gateway: GatewayProcess) -> datetime:
    with gateway.connect() as client:
        return parsedate_to_datetime(client.request("GET", "/healthz").header("date") or "")


def test_jumps_of_the_wall_clock_fail_no_request(gateway: GatewayProcess, clock: Clock) -> None:
    workers = set(gateway.workers())
    with Load(gateway.address, 200.0) as load:
        for offset in JUMPS:
            clock.jump(offset)
            load.await_shots(50)
            assert gateway.readiness() == 200
    assert set(load.fates()) == {"right"}
    assert max(shot.seconds for shot in load.shots) < 1.0
    assert set(gateway.workers()) == workers, "none was taken for dead"


def test_date_follows_the_clock_and_ids_stay_unique(gateway: GatewayProcess, clock: Clock) -> None:
    begun, ids = date_of(gateway), list[str]()
    with gateway.connect() as client:
        for offset in JUMPS * 3:
            clock.jump(offset)
            ids += [client.request("POST", "/echo").header("x-request-id") or "" for _ in range(50)]
    assert len(set(ids)) == len(ids)
    clock.jump("+30d")
    until(lambda: (date_of(gateway) - begun).days >= 29, 5.0)


def test_uptime_and_history_go_on(gateway: GatewayProcess, clock: Clock) -> None:
    begun = time.monotonic()
    for offset in ("-20y", "+30d"):
        clock.jump(offset)
        status = json.loads(gateway.admin("/api/v1/status")[1])
        assert 0 < status["uptime_s"] < 60 + time.monotonic() - begun
        assert all(0 <= worker["heartbeat_age_s"] < 5 for worker in status["workers"])
    gateway.apply({**gateway.settings, "server_header": "later"})
    history = json.loads(gateway.admin("/api/v1/config/history")[1])
    assert [version["is_current"] for version in history] == [True, False]
