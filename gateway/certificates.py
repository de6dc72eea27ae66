"""TLS towards clients: the server's context, and its certificate read again when it is renewed.

A new certificate is loaded into the living context: new handshakes use it, connections
that are open go on with the one they began with.

Rule: files that do not fit together, such as a certificate whose key is still the old
      one, are left alone, said once, and tried again when they change.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from gateway.config.schema import ListenTls
from gateway.errors import ConfigError, Problem

log = logging.getLogger(__name__)

Signature = tuple[tuple[int, int, int], ...]


def server_context(tls: ListenTls) -> ssl.SSLContext:
    """The context of the data port; ConfigError says what is wrong with the files."""
    context = _empty_context()
    _load(context, tls)
    if tls.client_ca:
        try:
            context.load_verify_locations(tls.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise _problem("client_ca", tls.client_ca, error) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _empty_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, tls: ListenTls) -> None:
    try:
        # Why a password: without one OpenSSL would ask for it on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise _problem("certificate", f"{tls.certificate} with {tls.key}", error) from None


def _problem(field: str, what: str, error: OSError) -> ConfigError:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    sentence = f"cannot use {what}: {str(reason).replace('_', ' ').lower()}"
    return ConfigError((Problem(sentence, f"listen.tls.{field}"),))


class Renewal:
    """Notices renewed files; `look` is called now and then."""

    def __init__(
        self,
        context: ssl.SSLContext,
        tls: ListenTls,
        signature_of: Callable[[ListenTls], Signature] | None = None,
    ) -> None:
        self._context, self._tls = context, tls
        self._signature_of = signature_of or file_signature
        self._seen = self._signature_of(tls)

    def look(self) -> bool:
        """Whether a renewed certificate was put in force."""
        signature = self._signature_of(self._tls)
        if signature == self._seen:
            return False
        self._seen = signature
        try:
            _load(_empty_context(), self._tls)  # Why: a failed load would spoil the living one
            _load(self._context, self._tls)
        except ConfigError as error:
            log.warning("renewed certificate is not usable: %s", error)
            return False
        log.info("renewed certificate in force")
        return True


def file_signature(tls: ListenTls) -> Signature:
    """Changes when one of the files does; a file that is not there counts as one."""
    return tuple(_stat(Path(name)) for name in (tls.certificate, tls.key))


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
