import logging
import socket
import ssl
import threading
from pathlib import Path

import pytest

from gateway.certificates import Renewal, server_context
from gateway.config.schema import ListenTls
from gateway.errors import ConfigError
from tests.support.certificates import Authority


def tls_of(authority: Authority, client_ca: str = "") -> ListenTls:
    certificate, key = authority.issue("localhost")
    return ListenTls(certificate=str(certificate), key=str(key), client_ca=client_ca)


def serial(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """The serial number of the certificate that a client is shown."""
    ours, theirs = socket.socketpair()

    def accept() -> None:
        with server.wrap_socket(theirs, server_side=True) as accepted:
            accepted.recv(1)

    thread = threading.Thread(target=accept)
    thread.start()
    with client.wrap_socket(ours, server_hostname="localhost") as connection:
        shown = connection.getpeercert()
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}
        connection.send(b".")
        thread.join()
    assert shown is not None
    return str(shown["serialNumber"])


def test_renewed_certificate_is_shown_to_new_clients(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = tls_of(authority)
    context, client = server_context(tls), authority.client_context()
    renewal = Renewal(context, tls)
    before = serial(context, client)
    assert not renewal.look()
    authority.issue("localhost")
    assert renewal.look()
    assert serial(context, client) != before


def test_certificate_that_does_not_fit_its_key_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    tls = tls_of(authority)
    context, client = server_context(tls), authority.client_context()
    renewal, before = Renewal(context, tls), serial(context, client)
    key = Path(tls.key).read_bytes()
    authority.issue("localhost")
    new_key = Path(tls.key).read_bytes()
    Path(tls.key).write_bytes(key)
    with caplog.at_level(logging.WARNING):
        assert not renewal.look()
    assert "not usable" in caplog.text
    assert serial(context, client) == before
    Path(tls.key).write_bytes(new_key)
    assert renewal.look()


def test_files_that_cannot_be_used_are_named_with_the_key_that_names_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = tls_of(authority, client_ca=str(tmp_path / "nothing.pem"))
    with pytest.raises(ConfigError, match=r"nothing\.pem.* - at listen\.tls\.client_ca"):
        server_context(tls)
    Path(tls.certificate).write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"cannot use .*server\.pem.* - at listen\.tls\.cert"):
        server_context(tls)


def test_client_without_a_certificate_is_refused_where_one_is_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = server_context(tls_of(authority, client_ca=str(authority.ca_file)))
    assert context.verify_mode is ssl.CERT_REQUIRED
