"""One side of a contract, compiled: bytes in, what is wrong with them out, None if nothing is.

The door of this package for the data plane, for the consumer of the log and for the command line.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from gateway.config.watching import Contract, ContractSide
from gateway.contracts.acceptance import acceptance
from gateway.contracts.anomalies import Anomaly
from gateway.contracts.inspection import Inspected, Inspection
from gateway.contracts.values import Clock

_PLACES = {"input": "/inputs", "output": "/outputs"}  # of kserve
_FEW = 3


class Checker:
    """For one route's requests, or its answers."""

    def __init__(
        self, contract: Contract, which: str, protocol: str, *, now_s: Clock = time.time
    ) -> None:
        side: ContractSide = getattr(contract, which)
        self.which = which
        self.side = side
        self.action = side.on_violation or contract.on_violation
        is_kserve = protocol == "kserve" and side.format == "auto"
        self.style = ("kserve" if is_kserve else "rows") if side.format == "auto" else side.format
        self.at = side.at or (_PLACES[which] if is_kserve else "")
        self.inspection = Inspection(
            side, action=self.action, at=self.at, style=self.style, now_s=now_s
        )
        self._accepts = acceptance(
            side, self.inspection.fields, self.inspection.rules, at=self.at, style=self.style
        )
        self._max = int(side.max)

    def check(self, body: bytes) -> Inspected | None:
        """None: the body is as the contract wants it. Cost: one decode of msgspec's."""
        if len(body) > self._max:
            return self.inspection.too_long(self._max)
        if self._accepts(body):
            return None
        found = self.inspection.inspect(body)
        return found if found.anomalies else None

    def accepts(self, body: bytes) -> bool:
        """Whether the quick way takes it; for tests and figures."""
        return self._accepts(body)


def complaint(anomalies: Iterable[Anomaly]) -> str:
    """What the client is told: the first few places, and how many there are beside."""
    told = [each.sentence for each in anomalies if each.refuses]
    more = f"; and {len(told) - _FEW} more" if len(told) > _FEW else ""
    return f"The request violates its contract: {'; '.join(told[:_FEW])}{more}."
