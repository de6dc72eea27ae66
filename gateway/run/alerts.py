"""Alerts with their real parts: the configuration, the database, rollouts, kill switches."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.alerts.actions import Arms
from gateway.alerts.desk import AlertDesk
from gateway.reload import Reload
from gateway.rollout.desk import Desk
from gateway.state.alerts import AlertStates


def alerts_of(engine: sa.Engine, reload: Reload, rollouts: Desk) -> AlertDesk:
    return AlertDesk(
        settings=lambda: reload.document.config.drift,
        routes=lambda: list(reload.document.config.routes),
        store=AlertStates(engine),
        arms=Arms(rollouts, reload.deliver, lambda: reload.delivery),
    )
