"""Who is told of alerts: webhooks, e-mail, a topic of Kafka, trainings; each by its own courier.

A receiver has a name that stays the same over restarts and reloads, by which what is still to
be told is kept. One whose settings changed gets a new courier, and what was kept for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Callable

import msgspec
from msgspec import Struct

from gateway.alerts.alert import SEVERITIES, Event
from gateway.alerts.bodies import body_of, email_of
from gateway.alerts.views import AlertView
from gateway.config.watching import (
    AlertSeverity,
    Drift,
    DriftAlerts,
    DriftEmail,
    DriftWebhook,
    Retraining,
)
from gateway.notices.courier import Courier, Outcome, Parcel, Send
from gateway.notices.post import Post, place_in_words
from gateway.notices.receiver import ReceiverFigures, figures_of
from gateway.telemetry import NANO
from gateway.threads import in_thread

ALERTMANAGER_PATH = "/api/v2/alerts"
MOST_WAITING = 2_000

Done = Callable[[str, Parcel, Outcome], None]  # name of the receiver, what, how


class Receiver(Struct, frozen=True, kw_only=True):
    """One of them."""

    name: str
    form: str  # shape of the body
    place: str  # host and port
    send: Send
    severity: AlertSeverity = "info"  # the least that is told
    routes: tuple[str, ...] = ()  # () all

    def wants(self, alert: AlertView) -> bool:
        is_enough = SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.severity)
        return is_enough and (not self.routes or alert.route in self.routes)

    def body(self, alert: AlertView, event: Event, key: str) -> bytes:
        form = self.form if self.form in {"slack", "alertmanager"} else "json"
        return body_of(alert, event, form, key)


def receivers_of(alerts: DriftAlerts, topic: Callable[[str], Send]) -> dict[str, Receiver]:
    """By name; `topic` is how a topic of Kafka is sent to."""
    found = [_webhook(each, alerts) for each in alerts.webhooks]
    if alerts.email is not None:
        found.append(_email(alerts.email, alerts))
    if name := alerts.kafka_topic:
        found.append(Receiver(name=_topic_name(name), form="kafka", place=name, send=topic(name)))
    return {each.name: each for each in found}


def training_name(name: str) -> str:
    """The receiver of an entry of `drift.retraining`."""
    return f"retrain:{name}"


def _topic_name(topic: str) -> str:
    return f"kafka:{topic}"


def _webhook(webhook: DriftWebhook, alerts: DriftAlerts) -> Receiver:
    url = webhook.url.reveal()
    path = ALERTMANAGER_PATH if webhook.format == "alertmanager" else ""
    return Receiver(
        name=f"{webhook.format}:{_digest(url)}",
        form=webhook.format,
        place=place_in_words(url),
        send=Post(url, webhook.secret.reveal(), alerts.timeout * NANO, path=path),
        severity=webhook.severity,
        routes=webhook.routes,
    )


def _email(email: DriftEmail, alerts: DriftAlerts) -> Receiver:
    return Receiver(
        name=f"email:{_digest(email.host + ' ' + ' '.join(email.to))}",
        form="email",
        place=f"{email.host}:{email.port}",
        send=Mail(email, alerts.timeout * NANO),
        severity=email.severity,
    )


def _training(name: str, training: Retraining, alerts: DriftAlerts) -> Receiver:
    url = training.url.reveal()
    return Receiver(
        name=training_name(name),
        form="training",
        place=place_in_words(url),
        send=Post(url, training.secret.reveal(), alerts.timeout * NANO),
    )


class Mail:
    """Sends by SMTP; an instance is what a courier sends with."""

    def __init__(self, settings: DriftEmail, timeout_s: float) -> None:
        self._settings, self._timeout_s = settings, timeout_s

    async def __call__(self, parcel: Parcel) -> Outcome:
        return await in_thread(lambda: self._send(parcel), name="mail")

    def _send(self, parcel: Parcel) -> Outcome:
        where = f"the mail server {self._settings.host}:{self._settings.port}"
        try:
            with self._connected() as server:
                if self._settings.username:
                    server.login(self._settings.username, self._settings.password.reveal())
                server.send_message(email_of(parcel.body, self._settings))
        except smtplib.SMTPResponseException as error:
            is_final = error.smtp_code >= 500
            return Outcome(is_final=is_final, sentence=f"{where} answered {error.smtp_code}")
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return Outcome(sentence=f"{where} takes no e-mail ({type(error).__name__})")
        return Outcome(is_told=True)

    def _connected(self) -> smtplib.SMTP:
        host, port, tls = self._settings.host, self._settings.port, self._settings.tls
        context = ssl.create_default_context()
        if tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self._timeout_s, context=context)
        server = smtplib.SMTP(host, port, timeout=self._timeout_s)
        if tls == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server


class Couriers:
    """One a receiver, as configured; `run` is their life."""

    def __init__(
        self, settings: Callable[[], Drift], done: Done, topic: Callable[[str], Send]
    ) -> None:
        self._settings, self._done, self._topic = settings, done, topic
        self._in_force: Drift | None = None
        self.receivers: dict[str, Receiver] = {}  # who is told of every alert
        self._couriers: dict[str, Courier] = {}
        self._forms: dict[str, str] = {}
        self._made_of: dict[str, bytes] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_running = False

    def has(self, name: str) -> bool:
        return name in self._couriers

    def follow(self) -> set[str] | None:
        """Look at the configuration; names of the couriers that are new; None: it is as it was."""
        wanted = self._settings()
        if wanted is self._in_force:
            return None
        alerts, self._in_force = wanted.alerts, wanted
        self.receivers = receivers_of(alerts, self._topic)
        all_of_them = [
            *self.receivers.values(),
            *(_training(name, each, alerts) for name, each in wanted.retraining.items()),
        ]
        made_of = _made_of(wanted)
        for gone in [name for name, made in self._made_of.items() if made_of.get(name) != made]:
            self._end(gone)
        new = [each for each in all_of_them if each.name not in self._couriers]
        for each in new:
            self._begin(each, made_of[each.name], alerts.attempts)
        return {each.name for each in new}

    def put(self, name: str, parcel: Parcel) -> None:
        """To a receiver; to one that is gone, nothing."""
        if (courier := self._couriers.get(name)) is not None:
            courier.put(parcel)

    async def run(self) -> None:
        """Until it is cancelled."""
        self._is_running = True
        try:
            for name, courier in self._couriers.items():
                self._tasks[name] = asyncio.create_task(courier.run())
            await asyncio.Event().wait()
        finally:
            self._is_running = False
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()

    def figures(self) -> tuple[ReceiverFigures, ...]:
        return tuple(
            figures_of(courier, self._forms[name]) for name, courier in self._couriers.items()
        )

    def _begin(self, receiver: Receiver, made_of: bytes, attempts: int) -> None:
        name = receiver.name
        courier = Courier(
            receiver.place,
            receiver.send,
            attempts=attempts,
            what="receiver of alerts",
            most_waiting=MOST_WAITING,
            done=lambda parcel, outcome: self._done(name, parcel, outcome),
        )
        self._couriers[name], self._forms[name] = courier, receiver.form
        self._made_of[name] = made_of
        if self._is_running:
            self._tasks[name] = asyncio.create_task(courier.run())

    def _end(self, name: str) -> None:
        del self._couriers[name], self._forms[name], self._made_of[name]
        if name in self._tasks:
            self._tasks.pop(name).cancel()


def _made_of(drift: Drift) -> dict[str, bytes]:
    """What each courier depends on, by its receiver's name."""
    alerts = drift.alerts
    shared = (alerts.timeout, alerts.attempts)
    found = {_webhook(each, alerts).name: repr((shared, each.format, each.url.reveal(),
             each.secret.reveal())) for each in alerts.webhooks}  # fmt: skip
    if alerts.email is not None:
        email = alerts.email
        found[_email(email, alerts).name] = repr((shared, email, email.password.reveal()))
    if alerts.kafka_topic:  # Why as good as new each time: the brokers may be others
        found[_topic_name(alerts.kafka_topic)] = repr((shared, id(drift)))
    for name, each in drift.retraining.items():
        found[training_name(name)] = repr((shared, each.url.reveal(), each.secret.reveal()))
    return {name: _digest(text).encode() for name, text in found.items()}


def _digest(text: str) -> str:
    """Names a place without telling it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def training_body(alert: AlertView, key: str, name: str) -> bytes:
    """What starts a training: the evidence, and which data."""
    lead = alert.lead
    return msgspec.json.encode(
        {
            "v": 1,
            "id": key,
            "event": "retrain",
            "retraining": name,
            "route": alert.route,
            "model": lead.model,
            "version": lead.version,
            "reference": lead.reference,
            "window": lead.current,
            "alert": alert,
        }
    )
