"""What the registry said, kept in files: now, and at any earlier time.

One file a model: its observations, each with the time it was seen first and last. What is
said again prolongs the last one; what is new is added; the oldest go when there are many.

Rule: files are replaced whole, readable by their owner only; one that cannot be read is as
      one that is not there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config.file import write_private
from gateway.config.recording import MlflowModel
from gateway.registry.registration import Registration

DIRECTORY = "registry"
MOST_OBSERVATIONS = 100


class Observation(Struct, frozen=True):
    """The same was said from the first time to the last, in Unix seconds."""

    first_s: float
    last_s: float
    said: Registration


_decoder = msgspec.json.Decoder(list[Observation])


class Kept:
    """The observations below one state directory."""

    def __init__(self, state: Path) -> None:
        self._directory = state / DIRECTORY

    def observations(self, model: MlflowModel) -> list[Observation]:
        """The oldest first."""
        try:
            return _decoder.decode(self._path(model).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return []

    def add(self, model: MlflowModel, said: Registration, at_s: float) -> None:
        """Remembers what was said; OSError if it cannot be."""
        found = self.observations(model)
        if found and found[-1].said == said:
            found[-1] = Observation(found[-1].first_s, at_s, said)
        else:
            found = [*found[1 - MOST_OBSERVATIONS :], Observation(at_s, at_s, said)]
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path(model), msgspec.json.encode(found))

    def _path(self, model: MlflowModel) -> Path:
        name = f"{model.url}\n{model.name}\n{model.alias}\n{model.version}"
        return self._directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
