"""Against a real Kafka broker, and against librdkafka's mock cluster for its errors."""

from __future__ import annotations

from tests.support.kafka import kafka, killable_kafka, secured_kafka

__all__ = ["kafka", "killable_kafka", "secured_kafka"]
