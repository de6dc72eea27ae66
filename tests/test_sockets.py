import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.sockets import ListenError, address_of, tcp_sockets, unix_socket


def test_sockets_share_one_port_and_each_gets_connections() -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(each) for each in tcp_sockets("127.0.0.1", 0, 64, 3)]
        assert len({each.getsockname()[1] for each in opened}) == 1
        clients = [
            stack.enter_context(socket.create_connection(opened[0].getsockname()))
            for _ in range(64)
        ]
        accepted = [_accepted(each, stack) for each in opened]
        assert sum(accepted) == len(clients)
        assert all(accepted)


def _accepted(listener: socket.socket, stack: ExitStack) -> int:
    count = 0
    while True:
        try:
            stack.enter_context(listener.accept()[0])
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("shares", [False, True], ids=["alone", "willing to share"])
def test_port_in_use_is_one_sentence(*, shares: bool) -> None:
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} on 127.0.0.1 is in use"):
            tcp_sockets("127.0.0.1", port, 8, 1)


def test_address_that_is_not_ours_is_one_sentence() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1 port 8080"):
        tcp_sockets("192.0.2.1", 8080, 8, 1)
    with pytest.raises(ListenError, match=r"cannot listen on nowhere\.invalid"):
        tcp_sockets("nowhere.invalid", 8080, 8, 1)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_any_address_of_ipv6_takes_ipv4_too() -> None:
    with ExitStack() as stack:
        try:
            (listener,) = tcp_sockets("::", 0, 8, 1)
        except ListenError:
            pytest.skip("no IPv6 here")
        stack.enter_context(listener)
        port = listener.getsockname()[1]
        stack.enter_context(socket.create_connection(("127.0.0.1", port), 1))
        assert address_of(listener) == f"[::]:{port}"


def test_unix_socket_replaces_one_that_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    unix_socket(path, 8).close()
    with unix_socket(path, 8) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert address_of(listener) == str(path)


def test_unix_socket_that_is_answered_or_none_at_all_is_left_alone(tmp_path: Path) -> None:
    path, file = tmp_path / "gateway.sock", tmp_path / "file"
    file.touch()
    with unix_socket(path, 8), pytest.raises(ListenError, match="another program does"):
        unix_socket(path, 8)
    with pytest.raises(ListenError, match="is no socket"):
        unix_socket(file, 8)
    with pytest.raises(ListenError, match="No such file"):
        unix_socket(tmp_path / "no" / "folder", 8)
