import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.load import accounting, peers, rig
from bench.load.peers import PEERS, Peer
from bench.load.rig import Cores, Running, cores_among
from gateway.config import parse
from gateway.shipper.sinks import wanted_of


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
    places = rig.places_of(made, tmp_path, (8000, 8001, 8002), 1) | PEERS[name].settings
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


@pytest.mark.parametrize(
    "name, is_recorded, sinks",
    [
        ("gateway", True, {"store"}),
        ("gateway-unrecorded", False, {"store"}),  # by default, but nothing comes
        ("gateway-unshipped", True, {"kafka"}),
    ],
)
def test_the_gateway_s_variants_differ_in_their_log_alone(
    name: str, is_recorded: bool, sinks: set[str], tmp_path: Path
) -> None:
    made = rig.Rig(Cores("0", "0", (1,)), tmp_path, tuple(range(9001, 9009)), 9100)
    found = {}
    for each in ("gateway", name):
        places = rig.places_of(made, tmp_path, (8000, 8001, 8002), 1) | PEERS[each].settings
        text = rig.fill(peers.HERE / "gateway.yaml", tmp_path / each, places).read_text()
        found[each] = parse(text, {}).config
    log = found[name].log
    assert log.enabled == is_recorded
    assert set(wanted_of(log)) == sinks
    assert log.max_size <= 2**30 or not is_recorded
    assert replace(found[name], log=found["gateway"].log) == found["gateway"]


def test_a_proxy_s_files_are_in_the_tree_and_go_with_it() -> None:
    with rig.folder_of(PEERS["gateway"]) as folder:
        assert folder.is_relative_to(rig.FILES)
        (folder / "state").mkdir()
    assert not folder.exists()


FAMILY = """
for name in worker shipper controller; do bash -c "exec -a 'gateway $name' sleep 20" & done; wait
"""


def test_workers_shipper_and_the_other_processes_are_told_apart_by_their_command_lines() -> None:
    command = ["bash", "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as supervisor:
        running = Running(peer=PEERS["gateway"], pid=supervisor.pid, port=1, stream_port=1)
        try:
            await_names(running)
            assert names_of(running.traffic_pids()) == ["gateway worker"]
            assert names_of(running.shipper_pids()) == ["gateway shipper"]
            control = running.control_pids()
            assert control[0] == supervisor.pid
            assert names_of(control[1:]) == ["gateway controller"]
        finally:
            os.killpg(supervisor.pid, signal.SIGKILL)


def test_a_proxy_that_records_nothing_has_no_shipper() -> None:
    running = Running(peer=PEERS["nginx"], pid=os.getpid(), port=1, stream_port=1)
    assert running.shipper_pids() == []


def names_of(pids: list[int]) -> list[str]:
    return [" ".join(accounting.command_line(pid).split()[:2]) for pid in pids]


def await_names(running: Running) -> None:
    """Returns once all children run under their own names."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        names = names_of(accounting.family(running.pid)[1:])
        if sorted(names) == ["gateway controller", "gateway shipper", "gateway worker"]:
            return
        time.sleep(0.01)
