"""The sinks that a configuration asks for.

Rule: a sink that cannot be made is there all the same and fails each delivery with the
      sentence that says why: the others go on, its records wait, and metrics show it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gateway.config.recording import Log
from gateway.errors import GatewayError
from gateway.shipper.sink import Batch, Sink, SinkError
from gateway.shipper.stdout import StdoutSink
from gateway.threads import in_thread

EXTRAS = {"kafka": "kafka", "objects": "objects"}  # of the package, by sink

log = logging.getLogger(__name__)


class Wanted(Struct, frozen=True):
    """What sinks are made of."""

    config: Log
    gateway: str  # its name
    state: Path  # directory
    log: Path  # directory


class StoreSink:
    """The local store; takes a whole sealed segment, twice is once."""

    name = "store"
    sealed_only = True
    batch_bytes = 0
    linger_s = 0.2
    dead_letters = 0

    def __init__(self, add: Callable[[Path], object]) -> None:
        self._add = add

    async def deliver(self, batch: Batch) -> None:
        if batch.path is None:
            raise SinkError("the store takes sealed segments only")
        try:
            await in_thread(functools.partial(self._add, batch.path), name="store")
        except (GatewayError, OSError) as error:
            raise SinkError(f"the store cannot take a segment: {error}") from None

    async def close(self, deadline_s: float) -> None:
        pass


class UnusableSink:
    """Stands for a sink that cannot be made."""

    sealed_only = True
    batch_bytes = 0
    linger_s = 1.0
    dead_letters = 0

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self._sentence = sentence

    async def deliver(self, batch: Batch) -> None:
        raise SinkError(self._sentence)

    async def close(self, deadline_s: float) -> None:
        pass


def wanted_of(config: Log) -> dict[str, object]:
    """What each wanted sink is made of, by name: where that is equal, a sink stays as it is."""
    wanted: dict[str, object] = {"kafka": config.kafka, "objects": config.objects}
    wanted |= {"store": config.store.enabled or None, "stdout": config.stdout or None}
    return {name: value for name, value in wanted.items() if value is not None}


def made_sink(name: str, wanted: Wanted) -> Sink:
    """One of the wanted sinks."""
    makers: dict[str, Callable[[Wanted], Sink]] = {
        "store": _store,
        "kafka": _kafka,
        "objects": _objects,
        "stdout": lambda _wanted: StdoutSink(),
    }
    try:
        return makers[name](wanted)
    except ImportError as error:
        extra = EXTRAS.get(name, name)
        sentence = (
            f"the sink {name} needs packages that are not installed ({error.name}):"
            f" pip install 'inference-gateway[{extra}]'"
        )
    except GatewayError as error:
        sentence = f"the sink {name} cannot be used: {error}"
    log.error("%s", sentence)
    return UnusableSink(name, sentence)


def tend_store(wanted: Wanted) -> None:
    """Make few files of many, and let go what is too old or too much; GatewayError."""
    from gateway.store import Store  # noqa: PLC0415 - as below

    store, rules = Store(wanted.state / "store", wanted.log), wanted.config.store
    store.compact()
    store.expire(rules.keep, int(rules.max_size))


# Why imported here: each brings packages that only its own configuration asks for.
def _store(wanted: Wanted) -> Sink:
    from gateway.store import Store  # noqa: PLC0415

    return StoreSink(Store(wanted.state / "store", wanted.log).add)


def _kafka(wanted: Wanted) -> Sink:
    from gateway.shipper.kafka import KafkaSink  # noqa: PLC0415

    if wanted.config.kafka is None:
        raise SinkError("nothing says where Kafka is")
    return KafkaSink(wanted.config.kafka, wanted.gateway, wanted.log)


def _objects(wanted: Wanted) -> Sink:
    from gateway.shipper.objects import ObjectsSink  # noqa: PLC0415

    if wanted.config.objects is None:
        raise SinkError("nothing says where objects go")
    return ObjectsSink(wanted.config.objects, wanted.gateway)
