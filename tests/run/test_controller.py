"""The gateway's processes as the control plane asks for them."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from gateway._fast import Board
from gateway.link import LinkServer, Peer
from gateway.messages import Hello
from gateway.run.controller import Processes
from tests.control.plans import blank


def peer(slot: int, *, is_draining: bool) -> Peer:
    hello = blank(Hello, slot=slot, seat=slot, pid=100 + slot)
    return Peer(hello, cast("asyncio.StreamWriter", None), "", 1, is_draining=is_draining)


@pytest.mark.parametrize(
    "draining,is_draining",
    [([], False), ([False], False), ([True, False], False), ([True, True], True)],
)
def test_gateway_drains_when_every_worker_that_is_there_does(
    draining: list[bool], is_draining: bool, tmp_path: Path
) -> None:
    link = LinkServer(tmp_path / "control.sock")
    link._peers += [peer(slot, is_draining=is_so) for slot, is_so in enumerate(draining)]
    processes = Processes(link, Board.create(2, 1, 1), 2, supervisor=1)
    assert processes.is_draining is is_draining
