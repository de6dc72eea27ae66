"""Alerts with their real parts: configuration, database, rollouts, kill switches, Kafka."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.alerts.actions import Arms
from gateway.alerts.desk import AlertDesk
from gateway.config.recording import Kafka
from gateway.holds import refusal
from gateway.notices.courier import Outcome, Parcel
from gateway.reload import Reload
from gateway.rollout.desk import Desk
from gateway.shipper.sink import SinkError
from gateway.state.alerts import AlertStates


def alerts_of(engine: sa.Engine, reload: Reload, rollouts: Desk) -> AlertDesk:
    return AlertDesk(
        settings=lambda: reload.document.config.drift,
        routes=lambda: list(reload.document.config.routes),
        store=AlertStates(engine),
        arms=Arms(
            rollouts,
            reload.deliver,
            lambda: reload.delivery,
            lambda name, shares: refusal(name, reload.document.config.routes.get(name), shares),
        ),
        topic=lambda topic: AlertTopic(reload.document.config.log.kafka, topic),
    )


class AlertTopic:
    """A topic of the brokers of the prediction log; an instance is what a courier sends with."""

    def __init__(self, kafka: Kafka | None, topic: str) -> None:
        self._kafka, self._topic = kafka, topic

    async def __call__(self, parcel: Parcel) -> Outcome:
        if self._kafka is None:
            return Outcome(is_final=True, sentence="log.kafka does not say where the brokers are")
        try:
            from gateway.shipper.kafka_message import send_message  # noqa: PLC0415  an extra
        except ImportError:
            sentence = "alerts to Kafka need: pip install inference-gateway[kafka]"
            return Outcome(is_final=True, sentence=sentence)
        headers = {"event": parcel.event.encode(), "delivery": parcel.key.encode()}
        key = parcel.about.encode()  # Why: messages of an alert stay in their order
        try:
            await send_message(self._kafka, self._topic, key, parcel.body, headers)
        except SinkError as error:
            return Outcome(sentence=str(error))
        return Outcome(is_told=True)
