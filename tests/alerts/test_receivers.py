"""E-mail on a real socket, and couriers that follow the configuration."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

import pytest
from msgspec.structs import replace

from gateway.alerts.bodies import body_of
from gateway.alerts.receivers import Couriers, Mail
from gateway.config.units import Secret
from gateway.config.watching import Drift, DriftAlerts, DriftEmail
from gateway.notices.courier import Outcome, Parcel, Send
from tests.alerts.alerts import make_webhook
from tests.alerts.test_bodies import BROKEN
from tests.notices.webhooks import WebhookServer


def no_topic(_name: str) -> Send:
    raise AssertionError


class MailServer:
    """Takes one e-mail, or answers its DATA with another code."""

    def __init__(self, code: int = 250) -> None:
        self._code = code
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.text = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb", 0) as file:
            file.write(b"220 here\r\n")
            while line := file.readline():
                word = line.split()[0].upper()
                if word == b"DATA":
                    file.write(b"354 go on\r\n")
                    while (part := file.readline()) != b".\r\n":
                        self.text += part.decode()
                    file.write(b"%d said\r\n" % self._code)
                elif word == b"QUIT":
                    file.write(b"221 bye\r\n")
                    return
                else:
                    file.write(b"250 ok\r\n")


def settings(port: int) -> DriftEmail:
    return DriftEmail(
        host="127.0.0.1", port=port, tls="none", sender="g@example.com", to=("a@example.com",)
    )


PARCEL = Parcel(
    key="alert-1-1",
    event="opened",
    about="alert 1",
    body=body_of(BROKEN, "opened", "json", "alert-1-1"),
)


async def test_email_is_sent() -> None:
    with MailServer() as server:
        outcome = await Mail(settings(server.port), 2.0)(PARCEL)
    assert outcome.is_told
    assert "Subject: [warning] scores: values are missing: amount" in server.text
    assert "<alert-1-1@inference-gateway>" in server.text


@pytest.mark.parametrize("code, is_final", [(451, False), (554, True)])
async def test_email_that_is_refused_for_good_is_not_sent_again(code: int, is_final: bool) -> None:
    with MailServer(code) as server:
        outcome = await Mail(settings(server.port), 2.0)(PARCEL)
    assert not outcome.is_told
    assert outcome.is_final == is_final
    assert str(code) in outcome.sentence


async def test_mail_server_that_is_away_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = await Mail(settings(port), 0.5)(PARCEL)
    assert outcome == Outcome(
        sentence=f"the mail server 127.0.0.1:{port} takes no e-mail (ConnectionRefusedError)"
    )


async def test_alertmanager_has_its_path_and_reloads_keep_what_waits() -> None:
    with WebhookServer() as server:
        hook = make_webhook(server.port, "alertmanager")
        in_force = [Drift(alerts=DriftAlerts(webhooks=(hook,)))]
        done: list[str] = []
        couriers = Couriers(
            lambda: in_force[0], lambda name, _parcel, _outcome: done.append(name), no_topic
        )
        (name,) = couriers.follow() or {""}
        couriers.put(name, PARCEL)
        in_force[0] = replace(
            in_force[0], alerts=DriftAlerts(webhooks=(replace(hook, severity="info"),))
        )
        assert couriers.follow() == set()  # the same place: the same courier
        task = asyncio.create_task(couriers.run())
        async with asyncio.timeout(5):
            while not done:
                await asyncio.sleep(0.005)
        in_force[0] = Drift(
            alerts=DriftAlerts(webhooks=(replace(hook, secret=Secret("another-secret-word")),))
        )
        assert couriers.follow() == {name}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert done == [name]
    assert server.calls[0].target == "/api/v2/alerts"


async def test_figures_tell_no_url() -> None:
    hook = replace(make_webhook(9), url=Secret("https://hooks.example.com/T0/hidden"))
    drift = Drift(alerts=DriftAlerts(webhooks=(hook,)))
    couriers = Couriers(lambda: drift, lambda *_: None, no_topic)
    couriers.follow()
    (figures,) = couriers.figures()
    assert (figures.place, figures.format) == ("hooks.example.com", "json")
    assert "hidden" not in str(couriers.receivers.keys())
