"""One sink and all that belongs to it: its source, its checkpoints, its retries.

    next piece → deliver, again and again until it is acknowledged → settle → save

Rule 1: a checkpoint is saved only after the acknowledgement; what is not saved yet when the
        process dies is sent again.
Rule 2: the same batch is offered until the sink takes it, with longer and longer pauses; a
        sink that fails holds nobody else up.
Rule 3: a whole segment that was dropped while the sink failed is not offered any more.
Rule 4: what goes wrong is one sentence in the log when it begins and one when it is over.

Knows nothing of the other sinks and of how segments come and go; `shipper` gives it the
picture to ship from.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import time
from pathlib import Path

from gateway.log.figures import SinkFigures
from gateway.shipper.balance import balance_of
from gateway.shipper.checkpoint import Checkpoint, CheckpointError, Checkpoints
from gateway.shipper.shelf import Shelf
from gateway.shipper.sink import LINGER_S, Sink, SinkError
from gateway.shipper.source import Piece, Source, Tail
from gateway.telemetry import redacted
from gateway.threads import in_thread

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
SAVE_EVERY_S = 0.25
ENDED_AFTER_S = 600.0  # without any file of a stream, nobody writes it any more

log = logging.getLogger(__name__)


class Outlet:
    """Ships everything to one sink; `run` is its life."""

    def __init__(
        self, sink: Sink, directory: Path, *, ended_after_s: float = ENDED_AFTER_S
    ) -> None:
        self.sink = sink
        self._checkpoints = Checkpoints(directory, sink.name)
        self.saved, self.ended = self._checkpoints.load()
        self._source = Source(self.saved, sealed_only=sink.sealed_only)
        self._shelf = Shelf()
        self._news, self._hurry = asyncio.Event(), asyncio.Event()
        self._in_hand: Piece | None = None
        self._is_idle = False
        self._next_save_s = 0.0
        self._ended_after_s = ended_after_s
        self._absent_since_s: dict[str, float] = {}
        self._failures = 0
        self._retries = 0
        self._error, self._error_at_s = "", 0.0
        self._save_error = ""

    @property
    def name(self) -> str:
        return self.sink.name

    @property
    def is_done(self) -> bool:
        """Whether the sink has all that there is, and its checkpoints say so."""
        return self._is_idle and not self._unsaved()

    @property
    def is_failing(self) -> bool:
        return self._failures > 0

    @property
    def in_use(self) -> str:
        """The whole segment that the sink is reading; "" none."""
        piece = self._in_hand
        return piece.batch.segment if piece and piece.batch.path else ""

    def show(self, shelf: Shelf) -> None:
        """Ship from this picture from now on."""
        self._shelf = shelf
        self._source.see(shelf)
        self._is_idle = False
        self._news.set()

    def hurry(self) -> None:
        """The end is near: a sink that failed is tried now, and often."""
        self._hurry.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._ship()
            except Exception:  # Why: this sink would get nothing any more
                log.exception("shipping failed by a defect", extra={"sink": self.name})
                await asyncio.sleep(LONGEST_PAUSE_S)

    async def _ship(self) -> None:
        few = 0
        while True:
            self._news.clear()
            found = self._source.next(self._shelf, self.sink.batch_bytes)
            if found is None:
                await self._rest()
                continue
            tail, piece = found
            if not await self._is_delivered(tail, piece):
                await self._rest()  # until a picture without it
                continue
            await self._save_when_due()
            # Why: streams that have a little each are let fill; one that has a lot goes on.
            few = few + 1 if self._is_little(piece) else 0
            if few >= len(self._source.tails) and not self.sink.sealed_only:
                few = 0
                await self._linger()

    async def close(self, deadline_s: float) -> None:
        """Keep what was acknowledged, and let the sink go."""
        await self._save()
        await self.sink.close(deadline_s)
        self._source.close()

    def figures(self, now_s: float) -> SinkFigures:
        piece = self._in_hand
        in_hand = (piece.batch.stream, piece.batch.last_seq) if piece else ("", 0)
        balance = balance_of(self._source.tails.values(), self.ended, self._shelf, in_hand)
        return SinkFigures(
            name=self.name,
            appended=balance.appended,
            shipped=balance.shipped,
            waiting=balance.waiting,
            dropped=balance.dropped,
            waiting_bytes=balance.bytes,
            lag_s=self._lag_s(now_s) if balance.waiting else 0.0,
            failures=self._failures,
            retries=self._retries,
            dead_letters=self.sink.dead_letters,
            damaged_lines=sum(tail.damaged for tail in self._source.tails.values()),
            error=self._error or self._save_error,
            error_at_s=self._error_at_s,
        )

    # -- delivering

    async def _is_delivered(self, tail: Tail, piece: Piece) -> bool:
        """True when the sink has it; False when it is not there to be offered any more."""
        self._in_hand = piece
        try:
            while not self._is_gone(piece):
                if await self._is_taken(piece):
                    tail.settle(piece)
                    return True
                self._retries += 1
                await self._save_when_due()
                await self._pause()
            return False
        finally:
            self._in_hand = None

    async def _pause(self) -> None:
        if self._hurry.is_set():
            await asyncio.sleep(pause_after(1))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_after(self._failures)):
                await self._hurry.wait()

    async def _is_taken(self, piece: Piece) -> bool:
        try:
            await self.sink.deliver(piece.batch)
        except SinkError as error:
            self._on_failure(str(error))
            return False
        except Exception:
            if not self._failures:
                log.exception("sink failed by a defect", extra={"sink": self.name})
            self._on_failure("the sink failed by a defect; see the log of the gateway")
            return False
        if self._failures:
            log.info("sink takes records again", extra={"sink": self.name})
        self._failures, self._error = 0, ""
        return True

    def _on_failure(self, sentence: str) -> None:
        sentence = redacted(sentence)
        self._failures += 1
        if sentence != self._error:
            log.error("sink does not take records: %s", sentence, extra={"sink": self.name})
        self._error, self._error_at_s = sentence, time.time()

    def _is_gone(self, piece: Piece) -> bool:
        path = piece.batch.path
        return path is not None and not path.exists()

    def _lag_s(self, now_s: float) -> float:
        """Since the oldest line, or segment, in hand could have been delivered."""
        piece = self._in_hand
        return max(0.0, now_s - piece.due_s) if piece and piece.due_s else 0.0

    # -- resting and keeping

    def _is_little(self, piece: Piece) -> bool:
        """Less than half a batch, of a segment to which more is written."""
        if len(piece.batch.data) * 2 > self.sink.batch_bytes:
            return False
        item = self._shelf.after(piece.batch.stream, piece.after.number)
        return item is not None and item.number == piece.after.number and not item.is_sealed

    async def _linger(self) -> None:
        """Let a little more come; at the end there is no time for that."""
        if self._hurry.is_set():
            await asyncio.sleep(min(self.sink.linger_s, LINGER_S))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.sink.linger_s):
                await self._hurry.wait()

    async def _rest(self) -> None:
        """Nothing to do until there is news, or, for lines, until some may have come."""
        await self._save_when_due()
        self._is_idle = not self._news.is_set()
        if not self.sink.sealed_only:
            await self._linger()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_EVERY_S):
                await self._news.wait()

    def _unsaved(self) -> list[Checkpoint]:
        return [
            tail.settled
            for tail in self._source.tails.values()
            if tail.settled != self.saved.get(tail.stream)
        ]

    async def _save_when_due(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_save_s:
            await self._save()
            await self._forget_ended(now_s)
            self._next_save_s = time.monotonic() + SAVE_EVERY_S

    async def _save(self) -> None:
        unsaved = self._unsaved()
        if not unsaved:
            return
        try:
            save = functools.partial(self._checkpoints.save, unsaved)
            await in_thread(save, name="checkpoint")
        except CheckpointError as error:
            if not self._save_error:
                log.error("%s", error, extra={"sink": self.name})
            self._save_error, self._error_at_s = str(error), time.time()
            return
        self._save_error = ""
        self.saved |= {each.stream: each for each in unsaved}

    async def _forget_ended(self, now_s: float) -> None:
        """Add up the streams that have had no file for a while."""
        in_hand = {self._in_hand.batch.stream} if self._in_hand else set()
        absent = self._source.tails.keys() - self._shelf.writing - in_hand
        since = {stream: self._absent_since_s.get(stream, now_s) for stream in absent}
        self._absent_since_s = since
        over = [s for s, at_s in since.items() if now_s - at_s >= self._ended_after_s]
        if not over:
            return
        tails = [self._source.tails[stream] for stream in over]
        for tail in tails:
            tail.drop_until(self._shelf.appended.get(tail.stream, 0))
        ended = self.ended.plus(tail.settled for tail in tails)
        try:
            await in_thread(functools.partial(self._checkpoints.end, ended), name="checkpoint")
        except CheckpointError:
            return  # what cannot be written now is tried at the next turn
        self.ended = ended
        for stream in over:
            self._source.forget(stream)
            self.saved.pop(stream, None)


def pause_after(failures: int) -> float:
    """Before the next try, after so many failures in a row; spread, so that sinks part."""
    longest = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1.0)
