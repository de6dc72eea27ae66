"""The rig itself, for two seconds, with nginx as the only proxy."""

import os

import pytest

from bench.load import chat, streams
from bench.load.peers import PEERS, located
from bench.load.rig import TOOLS, Unavailable, cores_among, proxy, rig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(located, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores"),
]


def test_nginx_is_measured_without_an_error() -> None:
    cores = cores_among(tuple(os.sched_getaffinity(0)))
    with rig(cores) as made, proxy(made, PEERS["nginx"]) as running:
        sample = chat.measure(made, chat.Turn(chat.SCENARIOS[0], running, 0), 1)
        relayed = streams.measure(made, running, 0, 1)
    assert sample.errors.total == 0
    assert sample.requests > 100
    assert 1 < sample.cpu_us < 1_000
    assert relayed.broken == 0
    assert relayed.streams >= 32


def test_a_peer_that_does_not_start_says_why() -> None:
    cores = cores_among(tuple(os.sched_getaffinity(0)))
    broken = PEERS["nginx"].__class__(
        name="broken", program="nginx", arguments=("-c", "/no/such/file")
    )
    with (
        rig(cores) as made,
        pytest.raises(Unavailable, match=r"did not start.*it said"),
        proxy(made, broken),
    ):
        pass


def test_the_gateway_s_records_are_shipped_and_its_files_are_gone_afterwards() -> None:
    cores = cores_among(tuple(os.sched_getaffinity(0)))
    with rig(cores) as made:
        with proxy(made, PEERS["gateway"]) as running:
            assert len(running.shipper_pids()) == 1
            sample = chat.measure(made, chat.Turn(chat.SCENARIOS[1], running, 0), 1)
            scratch = running.scratch
            assert (scratch / "state" / "log").is_dir()
        assert not scratch.exists()
    assert sample.errors.total == 0
    assert sample.shipping is not None
    assert sample.shipping.appended >= sample.requests
    assert sample.shipping.dropped == 0
