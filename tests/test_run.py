"""The whole gateway as a user starts it: all of its processes, with clients that never stop."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.run.child import ControllerPost, WorkerPost, command, post_of
from gateway.run.start import Wish, _run_directory, document_of
from gateway.state.last_good import store_last_good
from tests.support.backends import Backend
from tests.support.fixtures import (
    MakeBackend,
    MakeProcess,
    make_backend,
    make_process,
    share_backend,
    share_process,
)
from tests.support.gateway import GatewayProcess
from tests.support.settings import Settings, chat, text_of
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

__all__ = ["make_backend", "make_process", "share_backend", "share_process"]

BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}]})
PATIENCE_S = 15.0
PAUSE_S = 0.004  # of each client between two requests: the cores are for the gateway


class Load:
    """Clients that ask one request a connection until they are stopped."""

    def __init__(self, address: tuple[str, int], clients: int = 4) -> None:
        self.address = address
        self.good = 0
        self.bad: list[str] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            self.more(20)
            yield
            self.more(20)
        finally:
            self._is_over.set()
            for thread in self._threads:
                thread.join()

    def more(self, count: int) -> None:
        """Wait for so many more good answers."""
        wanted = self.good + count
        until(lambda: self.good >= wanted, PATIENCE_S, lambda: self.bad[:3])

    def _ask(self) -> None:
        while not self._is_over.wait(PAUSE_S):
            try:
                status = ask(self.address)
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
            else:
                if status == 200:
                    self.good += 1
                else:
                    self.bad.append(str(status))


def ask(address: tuple[str, int]) -> int:
    connection = http.client.HTTPConnection(*address, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", BODY, {"connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def workers(gateway: GatewayProcess) -> list[dict[str, Any]]:
    """As the admin API tells it; [] while nobody answers there."""
    try:
        status, body = gateway.admin("/api/v1/workers")
    except OSError:
        return []
    return json.loads(body) if status == 200 else []


def plans(gateway: GatewayProcess) -> set[str]:
    return {worker["plan"] for worker in workers(gateway)}


def await_workers(gateway: GatewayProcess, *, without: AbstractSet[int] = frozenset()) -> list[int]:
    """Wait until all are up and current, none of these pids among them; their pids."""

    def is_so() -> bool:
        found = workers(gateway)
        pids = {worker["pid"] for worker in found}
        is_current = all(worker["is_up"] and worker["is_current"] for worker in found)
        return bool(found) and is_current and not pids & without

    until(is_so, PATIENCE_S, lambda: (workers(gateway), gateway.log()))
    return [worker["pid"] for worker in workers(gateway)]


def uptime_s(gateway: GatewayProcess) -> float:
    _status, body = gateway.admin("/api/v1/status")
    return float(json.loads(body)["uptime_s"])


def controllers(gateway: GatewayProcess) -> list[int]:
    return [pid for pid, line in gateway.children().items() if "controller" in line]


def write(gateway: GatewayProcess, **more: Any) -> Settings:
    """Change the file only; the gateway notices by itself."""
    settings = {**gateway.settings, **more}
    fresh = gateway.config.with_suffix(".new")
    fresh.write_text(text_of(settings))
    fresh.replace(gateway.config)
    return settings


@pytest.fixture(scope="module")
def shared(share_backend: MakeBackend, share_process: MakeProcess) -> GatewayProcess:
    return share_process(chat(share_backend("one"), workers=2))


@pytest.fixture
def gateway(shared: GatewayProcess) -> GatewayProcess:
    """One whose file is as it was at the start, and in force on all workers."""
    await_workers(shared)
    shared.apply(shared.settings)
    await_workers(shared)
    return shared


def test_changed_file_is_in_force_on_all_workers_without_a_failed_request(
    gateway: GatewayProcess,
) -> None:
    (before,) = plans(gateway)
    load = Load(gateway.address)
    with load.running():
        write(gateway, server_header="changed")
        until(lambda: not plans(gateway) & {before, ""}, PATIENCE_S, gateway.log)
        await_workers(gateway)
    assert load.bad == []


def test_bad_file_is_told_and_disturbs_nothing(gateway: GatewayProcess) -> None:
    before, told = plans(gateway), len(gateway.log())
    write(gateway, default_route="nobody")
    until(lambda: "configuration refused" in gateway.log()[told:], PATIENCE_S, gateway.log)
    assert "nobody" in gateway.log()[told:]
    assert ask(gateway.address) == 200
    assert plans(gateway) == before


def test_each_worker_killed_costs_no_more_than_what_it_had(gateway: GatewayProcess) -> None:
    load = Load(gateway.address)
    with load.running():
        for pid in await_workers(gateway):
            os.kill(pid, signal.SIGKILL)
            await_workers(gateway, without={pid})
    assert len(load.bad) <= 8  # four clients, two kills


def test_rolling_restart_costs_nothing(gateway: GatewayProcess) -> None:
    before = set(await_workers(gateway))
    load = Load(gateway.address)
    with load.running():
        gateway.process.send_signal(signal.SIGUSR2)
        await_workers(gateway, without=before)
    assert load.bad == []
    until(lambda: len(gateway.workers()) == 2, PATIENCE_S, gateway.log)


def test_gateway_serves_without_a_controller_and_finds_the_next_one(
    gateway: GatewayProcess,
) -> None:
    load, lost = Load(gateway.address), gateway.controller()
    before = uptime_s(gateway)
    with load.running():
        os.kill(lost, signal.SIGKILL)
        until(lambda: set(controllers(gateway)) - {lost}, PATIENCE_S)
        await_workers(gateway)
    assert load.bad == []
    assert uptime_s(gateway) > before


def test_worker_that_starts_later_serves_on_the_plan_in_force(gateway: GatewayProcess) -> None:
    (before,) = plans(gateway)
    write(gateway, server_header="changed")
    until(lambda: not plans(gateway) & {before, ""}, PATIENCE_S, gateway.log)
    (changed,) = plans(gateway)
    pids = await_workers(gateway)
    gateway.config.write_text("not: {valid")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await_workers(gateway, without=set(pids))
    assert plans(gateway) == {changed}


def test_socket_of_a_controller_that_was_killed_does_not_outlive_the_gateway(
    make_backend: MakeBackend,
    make_process: MakeProcess,
) -> None:
    gateway = make_process(chat(make_backend("one")))
    until(gateway.plan_hash, PATIENCE_S, gateway.log)
    path = gateway.folder / "state" / "run" / "control.sock"
    assert path.is_socket()
    gateway.process.send_signal(signal.SIGTERM)
    os.kill(gateway.controller(), signal.SIGKILL)
    gateway.process.wait(PATIENCE_S)
    assert not path.exists()


def test_children_end_when_their_supervisor_is_killed(
    make_backend: MakeBackend,
    make_process: MakeProcess,
) -> None:
    made = make_process(chat(make_backend("one"), workers=2))
    pids = list(made.children())
    assert len(pids) == 4  # two workers, shipper, controller
    made.process.kill()
    made.process.wait()
    made.process.returncode = 0  # so that stopping it again finds nothing wrong
    until(lambda: not any(is_alive(pid) for pid in pids), PATIENCE_S)


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_state_holds_no_secret_of_the_environment(
    make_backend: MakeBackend,
    make_process: MakeProcess,
) -> None:
    secret = "sk-very-secret-indeed"
    settings = chat(make_backend("one"), each={"api_key": "${KEY}"})
    made = make_process(settings, environ={"KEY": secret})
    assert ask(made.address) == 200
    await_workers(made)
    files = [path for path in (made.folder / "state").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert secret not in made.log()


def test_decision_of_a_route_is_explained_from_the_live_state(gateway: GatewayProcess) -> None:
    question = json.dumps({"body": {"model": "chat", "messages": []}}).encode()
    status, body = gateway.admin("/api/v1/routes/chat/explain", "POST", question)
    assert status == 200, body
    assert json.loads(body)["choice"] == "one"


# -- what is wrong at the start


def start(folder: Path, settings: Settings) -> subprocess.CompletedProcess[str]:
    config = folder / "gateway.yaml"
    config.write_text(text_of(settings))
    return subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "-c", str(config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[1],
    )


def minimal(folder: Path, **more: Any) -> Settings:
    backend = Backend(lambda _received: [], port=9)
    ports = {"listen": {"host": "127.0.0.1", "port": 0}, "admin": {"port": 0}}
    return {**chat(backend), "state": str(folder / "state"), **ports, **more}


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = {"host": "127.0.0.1", "port": port}
        done = start(tmp_path, minimal(tmp_path, listen=listen))
    assert_one_sentence(done, f"port {port} on 127.0.0.1 is in use by another program")


def test_state_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert_one_sentence(start(tmp_path, minimal(tmp_path)), "state directory", str(tmp_path))


def test_wrong_configuration_names_the_path(tmp_path: Path) -> None:
    done = start(tmp_path, minimal(tmp_path, default_route="caht"))
    assert_one_sentence(done, "did you mean `chat`?", "default_route")


def test_missing_certificate_and_its_key_are_named(tmp_path: Path) -> None:
    tls = {"certificate": str(tmp_path / "no.pem"), "key": str(tmp_path / "no.key")}
    listen = {"host": "127.0.0.1", "port": 0, "tls": tls}
    done = start(tmp_path, minimal(tmp_path, listen=listen))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].endswith("gateway.yaml is not valid: 2 problems")
    assert lines[1].endswith(f"there is no file `{tmp_path}/no.pem` - at listen.tls.certificate")
    assert lines[2].endswith(f"there is no file `{tmp_path}/no.key` - at listen.tls.key")
    assert len(lines) == 3


def test_state_of_another_gateway_is_left_alone(gateway: GatewayProcess, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    done = start(other, minimal(other, state=str(gateway.folder / "state")))
    assert_one_sentence(done, "another gateway uses the state directory")


def test_last_good_configuration_is_started_on_where_that_is_asked(tmp_path: Path) -> None:
    settings = minimal(tmp_path)
    file, good = tmp_path / "gateway.yaml", text_of(settings)
    file.write_text(text_of({**settings, "default_route": "nobody"}))
    with pytest.raises(ConfigError):
        document_of(Wish(file=file, use_last_good=True), {})
    store_last_good(tmp_path / "state", good)
    assert document_of(Wish(file=file, use_last_good=True), {}).text == good
    with pytest.raises(ConfigError):
        document_of(Wish(file=file), {})


# -- command lines of the children


WORKER = WorkerPost(
    slot=1,
    seat=3,
    board=5,
    ready=6,
    listen=(7, 8),
    data=(9, 7),
    plan=Path("state/run/plan"),
    control=Path("state/run/control.sock"),
    supervisor=4711,
    log_format="json",
    log_level="info",
)
CONTROLLER = ControllerPost(
    board=5,
    ready=6,
    listen=(7,),
    config=Path("a file.yaml"),
    plan=Path("state/run/plan"),
    control=Path("state/run/control.sock"),
    state=Path("state"),
    data_url="http://127.0.0.1:8080",
    slots=2,
    supervisor=4711,
    started_ns=123,
    log_format="text",
    log_level="debug",
)


@pytest.mark.parametrize("post", [WORKER, CONTROLLER])
def test_post_survives_the_command_line(post: WorkerPost | ControllerPost) -> None:
    assert post_of(type(post), command(post)[4:]) == post


def test_directory_of_the_log_is_ours_alone(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        _run_directory(tmp_path / "state", stack)
    assert (tmp_path / "state" / "log").stat().st_mode & 0o777 == 0o700
