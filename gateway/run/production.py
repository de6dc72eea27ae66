"""The parts that answer what is in production, as the controller has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.config.recording import Registry
from gateway.control.counted import BoardFigures
from gateway.control.figures import BoardView
from gateway.production.figures import FigureSource, Span, Tally
from gateway.production.production import InForce
from gateway.production.stored import StoredFigures
from gateway.registry.registrations import Registrations
from gateway.reload import Reload
from gateway.state.history import ConfigHistory
from gateway.threads import in_thread

LOOK_S = 5.0


class LiveProduction:
    """What is in production; `warm` and `follow` keep ready what it answers from."""

    def __init__(
        self,
        state: Path,
        history: ConfigHistory,
        reload: Reload,
        view: BoardView,
        environ: Mapping[str, str],
        started_at_s: float,
    ) -> None:
        """`view` is used in threads, so nobody else may."""
        self._reload = reload
        self._registrations = Registrations(state)
        self.in_force = InForce(
            state,
            history,
            environ=environ,
            registrations=self._registrations,
            figures=_Either(
                reload,
                StoredFigures(state / "store", state / "log"),
                BoardFigures(
                    view,
                    lambda: reload.plan,
                    started_at_s=lambda: started_at_s,
                    now_s=time.time,
                ),
            ),
        )

    async def warm(self) -> None:
        """Makes the first answer as quick as the others."""
        await in_thread(self.in_force.warm, name="production")

    async def follow(self) -> None:
        """Asks the model registries, each in its time."""
        while True:
            if any(each.mlflow for each in self._registries()):
                await in_thread(self._refresh, name="registry")
            await asyncio.sleep(LOOK_S)

    def _refresh(self) -> None:
        self._registrations.refresh(self._registries())

    def _registries(self) -> list[Registry]:
        backends = self._reload.document.config.backends.values()
        return [backend.registry for backend in backends if backend.registry is not None]


class _Either:
    """The store's figures where there is one, else the board's."""

    def __init__(self, reload: Reload, stored: FigureSource, board: FigureSource) -> None:
        self._reload, self._stored, self._board = reload, stored, board

    def over(self, spans: Sequence[Span], routes: Sequence[str]) -> Tally:
        log = self._reload.document.config.log
        source = self._stored if log.enabled and log.store.enabled else self._board
        return source.over(spans, routes)
