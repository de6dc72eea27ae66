"""The sinks that a configuration asks for."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from gateway.config.recording import Kafka, Log, Objects, Store
from gateway.errors import GatewayError
from gateway.shipper import sinks as module
from gateway.shipper.sink import Batch, SinkError
from gateway.shipper.sinks import StoreSink, Wanted, made_sink, wanted_of

NO_STORE = Store(enabled=False)
BATCH = Batch(stream="s", segment="s-1", records=1, first_seq=1, last_seq=1, path=Path("s-1"))


def wanted(tmp_path: Path, config: Log) -> Wanted:
    return Wanted(config, "berlin", tmp_path, tmp_path / "log")


def test_default_is_the_store_alone() -> None:
    assert wanted_of(Log()).keys() == {"store"}
    assert wanted_of(Log(store=NO_STORE)) == {}
    everything = Log(
        kafka=Kafka(bootstrap=("b:9092",)), objects=Objects(url="memory://"), stdout=True
    )
    assert wanted_of(everything).keys() == {"store", "kafka", "objects", "stdout"}


def test_sink_is_made_anew_only_where_its_own_configuration_changed() -> None:
    one = wanted_of(Log(objects=Objects(url="memory://"), store=Store(keep=3)))
    two = wanted_of(Log(objects=Objects(url="file:///x"), store=Store(keep=4)))
    assert one["store"] == two["store"]
    assert one["objects"] != two["objects"]


@pytest.mark.parametrize("name", ["store", "objects", "stdout"])
def test_each_sink_is_made(tmp_path: Path, name: str) -> None:
    config = Log(objects=Objects(url="memory://"), stdout=True)
    sink = made_sink(name, wanted(tmp_path, config))
    assert sink.name == name
    assert not isinstance(sink, module.UnusableSink)


async def test_packages_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "gateway.shipper.objects", raising=False)
    sink = made_sink("objects", wanted(tmp_path, Log(objects=Objects(url="memory://"))))
    with pytest.raises(SinkError, match=r"pip install 'inference-gateway\[objects\]'"):
        await sink.deliver(BATCH)
    await sink.close(1.0)


async def test_store_that_fails_is_a_sentence() -> None:
    class Full(GatewayError):
        pass

    def add(_path: Path) -> None:
        raise Full("the disk is full")

    with pytest.raises(SinkError, match="the store cannot take a segment: the disk is full"):
        await StoreSink(add).deliver(BATCH)


async def test_store_takes_a_segment_beside_the_loop() -> None:
    """It would wait for ever if the loop did."""
    loop_goes_on = threading.Event()

    def add(_path: Path) -> None:
        assert loop_goes_on.wait(5)

    delivery = asyncio.create_task(StoreSink(add).deliver(BATCH))
    await asyncio.sleep(0.01)
    loop_goes_on.set()
    await delivery
