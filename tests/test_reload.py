import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from gateway.compiler import compile_plan
from gateway.config import parse
from gateway.errors import ConfigError
from gateway.messages import Delivery, Offer
from gateway.offers import kept_offer, offer_of
from gateway.reload import FileWatch, Reload
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory
from gateway.state.last_good import load_delivery, load_last_good

TEXT = """
state: STATE
backends:
  a: {protocol: openai, url: "http://127.0.0.1:1/v1", api_key: "${KEY}"}
routes:
  chat: {backends: [a]}
"""
ENVIRON = {"KEY": "hunter2"}
BAD = TEXT.replace("[a]", "[nobody]")


class FakeCarrier:
    """Workers that take everything, or nothing."""

    def __init__(self, declines: str = "") -> None:
        self.in_force: Offer | None = None
        self.carried: list[Offer] = []
        self.declines = declines

    async def offer(self, offer: Offer) -> tuple[str, ...]:
        self.carried.append(offer)
        if self.declines:
            return (self.declines,)
        self.in_force = offer
        return ()


class Bench:
    """A reload with its file, its state and its carrier."""

    def __init__(self, folder: Path) -> None:
        self.state, self.file, self.kept = folder / "state", folder / "g.yaml", folder / "plan"
        self.text = TEXT.replace("STATE", str(self.state))
        self.file.write_text(self.text)
        self.carrier = FakeCarrier()
        self.engine = open_database(self.state)
        self.history = ConfigHistory(self.engine)
        document = parse(self.text, ENVIRON)
        self.reload = Reload(
            offer_of(document, compile_plan(document), 1, Delivery()),
            file=self.file,
            kept_at=self.kept,
            state=self.state,
            environ=ENVIRON,
            carrier=self.carrier,
            history=self.history,
        )
        self.reload.start()

    def change(self, old: str, new: str) -> str:
        text = self.file.read_text().replace(old, new)
        self.file.write_text(text)
        return text


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.engine.dispose()


async def test_changed_file_is_carried_kept_and_written_down(bench: Bench) -> None:
    text = bench.change("chat", "talk")
    change = await bench.reload.reload("file")
    assert change.is_changed
    assert bench.reload.plan.routes[0].name == "talk"
    assert bench.carrier.carried == [kept_offer(bench.kept)]
    assert bench.carrier.carried[0].generation == 2
    assert load_last_good(bench.state) == text
    latest = bench.reload.history()[0]
    assert (latest.author, latest.outcome, latest.is_current) == ("file", "applied", True)
    assert bench.reload.reloads == {"applied": 1, "unchanged": 0, "refused": 0}


async def test_same_file_changes_nothing(bench: Bench) -> None:
    bench.change("routes:", "# a comment\nroutes:")
    change = await bench.reload.reload("file")
    assert not change.is_changed
    assert bench.carrier.carried == []
    assert len(bench.reload.history()) == 1
    assert bench.reload.reloads["unchanged"] == 1


async def test_signal_carries_even_what_is_in_force(bench: Bench) -> None:
    """So that files which the configuration names are read again."""
    assert not (await bench.reload.reload("signal")).is_changed
    assert [offer.generation for offer in bench.carrier.carried] == [2]


async def test_bad_file_disturbs_nothing_and_is_written_down(bench: Bench) -> None:
    before = bench.reload.plan
    bench.file.write_text(BAD)
    with pytest.raises(ConfigError, match="nobody"):
        await bench.reload.reload("file")
    assert bench.reload.plan is before
    assert bench.carrier.carried == []
    failure = bench.reload.failure
    assert failure is not None
    assert "nobody" in failure.detail
    assert bench.reload.history()[0].outcome == "refused"
    assert bench.reload.history()[1].is_current
    bench.file.write_text(bench.text)
    await bench.reload.reload("file")
    assert bench.reload.failure is None


async def test_missing_file_is_refused(bench: Bench) -> None:
    bench.file.unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        await bench.reload.reload("file")
    assert bench.reload.is_file_in_force()


async def test_configuration_that_workers_decline_is_refused(bench: Bench) -> None:
    before = bench.reload.plan
    bench.carrier.declines = "no such authority"
    bench.change("chat", "talk")
    with pytest.raises(ConfigError, match="no such authority"):
        await bench.reload.reload("file")
    assert bench.reload.plan is before
    assert not bench.kept.exists()
    assert bench.reload.reloads["refused"] == 1


async def test_text_of_the_api_goes_into_the_file(bench: Bench) -> None:
    text = bench.text.replace("chat", "talk")
    change = await bench.reload.replace(text, "api:ann")
    assert change.is_changed
    assert bench.file.read_text() == text
    assert bench.reload.history()[0].author == "api:ann"
    with pytest.raises(ConfigError):
        await bench.reload.replace(BAD, "api:ann")
    assert bench.file.read_text() == text


async def test_text_that_cannot_be_written_is_in_force_and_says_so(bench: Bench) -> None:
    bench.file.unlink()
    change = await bench.reload.replace(bench.text.replace("chat", "talk"), "api:ann")
    assert change.is_changed
    assert "until the next restart only" in change.notes[-1]


async def test_rollback_puts_an_earlier_text_in_force(bench: Bench) -> None:
    first = bench.reload.plan.hash
    await bench.reload.replace(bench.text.replace("chat", "talk"), "api:ann")
    change = await bench.reload.rollback(first[:10], "api:bob")
    assert change.hash == bench.reload.plan.hash == first
    assert bench.file.read_text() == bench.text
    assert [version.is_current for version in bench.reload.history()] == [True, False, False]


async def test_what_needs_a_restart_is_noted(bench: Bench) -> None:
    bench.file.write_text("workers: 3\nlisten: {port: 9999}\n" + bench.text)
    change = await bench.reload.reload("file")
    assert [note.split("`")[1] for note in change.notes] == ["listen", "workers"]


async def test_history_that_cannot_be_written_costs_the_entry_only(bench: Bench) -> None:
    with bench.engine.begin() as connection:
        connection.execute(sa.text("drop table config_history"))
    bench.change("chat", "talk")
    assert (await bench.reload.reload("file")).is_changed


async def test_state_that_cannot_be_written_is_noted(bench: Bench) -> None:
    bench.kept.mkdir()
    bench.change("chat", "talk")
    change = await bench.reload.reload("file")
    assert "until a restart only" in change.notes[0]


def test_texts_and_effective_values_are_masked(bench: Bench) -> None:
    assert "hunter2" not in str(bench.reload.effective)
    assert "chat" in bench.reload.text(bench.reload.plan.hash)


def test_watch_waits_until_a_file_has_stayed_the_same(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("one")
    watch = FileWatch(file)
    assert not watch.look()
    file.write_text("half of t")
    assert not watch.look()
    file.write_text("the whole of two")
    assert not watch.look()
    assert watch.look()
    assert not watch.look()


def test_watch_notices_a_file_that_took_the_place_of_another(tmp_path: Path) -> None:
    file, other = tmp_path / "g.yaml", tmp_path / "other"
    file.write_text("one")
    watch = FileWatch(file)
    other.write_text("two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    file.unlink()
    assert not watch.look()
    other.rename(file)
    assert not watch.look()
    assert watch.look()


async def test_delivery_is_carried_kept_and_written_down(bench: Bench) -> None:
    change = await bench.reload.deliver(
        lambda delivery: msgspec.structs.replace(delivery, off=("backend.mini",)), "rollout:next"
    )
    assert change.is_changed
    assert bench.reload.delivery.off == ("backend.mini",)
    assert bench.carrier.carried[0].delivery == bench.reload.delivery
    assert load_delivery(bench.state) == bench.reload.delivery
    latest = bench.history.latest(1)[0]
    assert (latest.author, latest.hash) == ("rollout:next", change.hash)
    assert latest.text == bench.text
    assert latest.delivery == '{"off":["backend.mini"]}'
    assert latest.detail == "backend.mini switched off"


async def test_file_that_changes_keeps_the_delivery(bench: Bench) -> None:
    await bench.reload.deliver(lambda _: Delivery(off=("backend.mini",)), "api")
    bench.change("chat", "talk")
    await bench.reload.reload("file")
    assert bench.reload.delivery.off == ("backend.mini",)
    assert bench.reload.plan.hash != bench.reload.document.hash
    assert [one.detail for one in bench.history.latest(2)] == ["", "backend.mini switched off"]


async def test_delivery_that_changes_nothing_is_not_carried(bench: Bench) -> None:
    assert not (await bench.reload.deliver(lambda delivery: delivery, "api")).is_changed
    assert not bench.carrier.carried


async def test_delivery_that_workers_decline_is_refused(bench: Bench) -> None:
    bench.carrier.declines = "no such authority"
    with pytest.raises(ConfigError, match="no such authority"):
        await bench.reload.deliver(lambda _: Delivery(off=("backend.mini",)), "api")
    assert bench.reload.delivery == Delivery()
