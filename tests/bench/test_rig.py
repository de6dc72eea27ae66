import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.load import accounting, peers, rig
from bench.load.peers import PEERS, Peer
from bench.load.rig import Cores, Running, cores_among


@pytest.mark.parametrize(
    "usable, cores",
    [
        ((0, 1), Cores("0", "0", (1,))),
        ((5, 3, 4), Cores("3", "3", (4,))),
        ((0, 1, 2, 3), Cores("0", "0,1", (2, 3))),
    ],
)
def test_cores_are_split_between_proxy_and_load(usable: tuple[int, ...], cores: Cores) -> None:
    assert cores_among(usable) == cores


def test_one_core_is_not_enough() -> None:
    with pytest.raises(ValueError, match="needs two cores"):
        cores_among((0,))


def test_free_ports_are_all_different() -> None:
    ports = rig.free_ports(9)
    assert len(set(ports)) == 9


@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_place_in_a_peer_s_files_is_filled(name: str, tmp_path: Path) -> None:
    made = rig.Rig(Cores("0", "0", (1,)), tmp_path, tuple(range(9001, 9009)), 9100)
    places = rig.places_of(made, tmp_path, (8000, 8001, 8002), 1)
    command = rig.command_of(PEERS[name], tmp_path, places)
    assert not any("{" in argument for argument in command)
    template = PEERS[name].template
    if template:
        written = (tmp_path / template.name).read_text()
        assert "$" not in written
        assert "9001" in written


def test_a_peer_that_is_not_there_is_named_with_the_way_to_install_it() -> None:
    absent = Peer(name="ghost", program="no-such-program", arguments=(), requirement="ghost")
    assert peers.locate(absent) is None
    assert "install --peers ghost" in peers.absence(absent)
    assert peers.version_of(absent) == ""


def test_the_last_words_of_a_log_are_its_last_line_with_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("starting\nport 80 is taken\n\n")
    assert rig.last_words(log) == "port 80 is taken"
    log.write_text("")
    assert rig.last_words(log) == "no output"


FAMILY = """
bash -c 'exec -a gateway-worker-0 sleep 20' & bash -c 'exec -a gateway-controller sleep 20' &
echo up; wait
"""


def test_workers_and_the_other_processes_are_told_apart_by_their_command_lines() -> None:
    command = ["bash", "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as supervisor:
        running = Running(peer=PEERS["gateway"], pid=supervisor.pid, port=1, stream_port=1)
        try:
            workers = until_named(running)
            assert [accounting.command_line(pid).split()[0] for pid in workers] == [
                "gateway-worker-0"
            ]
            control = running.control_pids()
            assert control[0] == supervisor.pid
            assert len(control) == 2
        finally:
            os.killpg(supervisor.pid, signal.SIGKILL)


def until_named(running: Running) -> list[int]:
    """The workers, once both children run under their own names."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = [accounting.command_line(pid) for pid in accounting.family(running.pid)[1:]]
        if sorted(line.split()[0] for line in lines) == ["gateway-controller", "gateway-worker-0"]:
            break
        time.sleep(0.01)
    return running.traffic_pids()
