"""The desk, with a world around it in which the clock and the workers do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config.document import parse_rollout, rollout_hash
from gateway.errors import ConfigError, IllegalTransition, StateError, UnknownRollout
from gateway.messages import Delivery, Standing
from gateway.plan import PPM
from gateway.rollout import desk as desk_module
from gateway.rollout.decisions import verify
from tests.rollout.world import ONE, Killed, World

MakeWorld = Callable[..., World]
RAMP = [10_000, 50_000, 250_000, 500_000, PPM]
BY_HAND = """
route: chat
arms: {challenger: {backends: [new]}}
minimum: {time: 0, samples: 0}
"""


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(text: str = ONE, *, is_on_disk: bool = False, **facts: Any) -> World:
        made.append(World(tmp_path / str(len(made)) if is_on_disk else None, text))
        for name, value in facts.items():
            setattr(made[-1], name, value)
        return made[-1]

    yield make
    for world in made:
        if world.engine is not None:
            world.engine.dispose()


async def test_rollout_of_the_file_is_ramped_up_and_promoted(make_world: MakeWorld) -> None:
    world = make_world(is_on_disk=True)
    await world.desk.look()
    assert world.weights == {"challenger": 10_000}
    seen = [10_000]
    for _ in range(6):
        await world.minute()
        seen.append(world.weights["challenger"])
    assert seen == [*RAMP, PPM, PPM]
    assert world.events() == ["started", *["advanced"] * 5, "promoted"]
    view = world.desk.view("next")
    assert (view.phase, view.winner, view.verbs) == ("promoted", "challenger", ("undo",))
    assert view.edit == (
        "To make it permanent: set routes.chat.backends to [new], and remove rollouts.next."
    )
    standing = world.delivery.rollouts["next"]
    assert standing.spec == rollout_hash(world.document.config.rollouts["next"])


async def test_challenger_with_errors_is_taken_back(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    world.errors = {"challenger": 30}
    await world.minute()
    assert world.weights == {}
    view = world.desk.view("next")
    assert (view.phase, view.sentence) == ("rolled_back", "Rolled back: challenger: 30 errors.")
    assert world.told[-1].event == "rolled_back"


async def test_open_breakers_are_enough(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    world.open_arms = ("challenger",)
    await world.desk.look()
    assert world.weights == {}


async def test_harm_is_looked_at_at_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the next look, which would be a minute later."""
    monkeypatch.setattr(desk_module, "LOOK_S", 60)
    world = make_world()
    await world.desk.look()
    running = asyncio.create_task(world.desk.run())
    await asyncio.sleep(0.05)
    world.errors = {"challenger": 30}
    world.serve(20_000)
    async with asyncio.timeout(5):
        while world.weights:
            await asyncio.sleep(0.01)
    running.cancel()
    assert world.events()[-1] == "rolled_back"


async def test_look_that_fails_is_not_the_last_one(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk_module, "LOOK_S", 0.01)
    world = make_world()
    broken = world.counts
    world.counts = None  # type: ignore[assignment]
    world.delivery = Delivery(rollouts={"next": Standing(spec="")})
    running = asyncio.create_task(world.desk.run())
    await asyncio.sleep(0.1)
    assert "It cannot be looked at, by a defect" in world.desk.view("next").failure
    world.counts = broken
    await asyncio.sleep(0.1)
    running.cancel()
    assert world.weights == {"challenger": 10_000}
    assert caplog.text.count("rollout could not be looked at") == 1


async def test_decision_holds_what_it_was_made_of(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    await world.minute()
    decision = [one for one in world.desk.history("next") if one.event == "advanced"][-1]
    assert decision.judgement is not None
    assert decision.at_ms == decision.judgement.at_ms
    assert [one.weights for one in decision.periods] == [
        {"challenger": 0},
        {"challenger": 10_000},
    ]
    assert decision.periods[-1].evidence.arm("challenger").answered == 200
    assert decision.weights == {"challenger": 50_000}
    assert decision.spec_hash == rollout_hash(parse_rollout(decision.spec))
    assert (decision.plan_before, decision.plan_after) == ("plan-2", "plan-3")
    assert decision.propagation_ms == pytest.approx(12, abs=0.01)
    verify(world.desk.decisions())


async def test_time_to_the_last_worker_is_measured(make_world: MakeWorld) -> None:
    world = make_world(deliver_ns=340_000_000)
    await world.desk.look()
    assert world.desk.view("next").propagation_ms == pytest.approx(340, abs=0.01)
    assert world.desk.figures().propagation_s["next",] == pytest.approx(0.34, abs=1e-5)
    assert world.log()[-1].sentence == "In force after 340 ms."


async def test_requests_drawn_by_old_weights_are_nobodys_evidence(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    world.in_flight = {"champion": 500}
    await world.minute()
    assert world.weights == {"challenger": 50_000}
    world.pass_ns(10**9)
    world._count("champion", 500)  # those end now, drawn when the challenger had 1 %
    await world.desk.look()
    world.serve(1000)
    await world.desk.look()
    last = world.desk._ledger.cases["next"].kept.account.periods[-1]
    assert last.weights == {"challenger": 50_000}
    assert last.evidence.arm("champion").assigned == 950
    assert last.evidence.arm("challenger").assigned == 50


async def test_requests_that_never_end_keep_nobody_waiting(make_world: MakeWorld) -> None:
    world = make_world(in_flight={"champion": 5})
    await world.minute(0)
    world.serve(100)
    world.pass_ns(31 * 10**9)
    await world.desk.look()
    world.serve(1000)
    await world.desk.look()
    last = world.desk._ledger.cases["next"].kept.account.periods[-1]
    assert last.evidence.arm("champion").assigned == 990


async def test_words_of_people(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    assert (await world.desk.pause("next", "ann")).phase == "paused"
    await world.minute()
    assert world.weights == {"challenger": 10_000}
    assert (await world.desk.resume("next", "ann")).weight == 5
    assert (await world.desk.promote("next", "ann")).weight == 25
    assert (await world.desk.promote("next", "ann", full=True)).phase == "promoted"
    assert world.weights == {"challenger": PPM}
    assert (await world.desk.undo("next", "ann")).phase == "rolled_back"
    assert world.weights == {}
    view = await world.desk.retry("next", "ann")
    assert (view.revision, view.weight) == (2, 1)
    assert (await world.desk.abort("next", "ann", "not today")).sentence == (
        "Aborted by ann: not today."
    )
    assert {one.actor for one in world.log()} == {"file", "desk", "ann"}


async def test_what_is_not_possible_is_said(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    with pytest.raises(UnknownRollout, match="There is no rollout last"):
        world.desk.view("last")
    with pytest.raises(IllegalTransition, match="it cannot undo"):
        await world.desk.undo("next", "ann")
    with pytest.raises(IllegalTransition, match="is declared in the file"):
        await world.desk.start("next", "ann", BY_HAND)


async def test_rollout_that_does_not_start_by_itself_waits(make_world: MakeWorld) -> None:
    world = make_world(ONE + "    autostart: false\n")
    await world.minute()
    assert world.desk.view("next").phase == "pending"
    assert world.delivered == []
    assert (await world.desk.start("next", "ann")).weight == 1


async def test_rollout_by_hand(make_world: MakeWorld) -> None:
    world = make_world("", is_on_disk=True)
    view = await world.desk.start("next", "ann", BY_HAND)
    assert (view.source, view.weight) == ("hand", 1)
    assert world.delivery.specs == {"next": BY_HAND}
    world.another()
    await world.desk.look()
    assert world.desk.view("next").source == "hand"
    with pytest.raises(IllegalTransition, match="is running; abort or undo it first"):
        await world.desk.start("next", "ann", BY_HAND)
    await world.desk.abort("next", "ann")
    assert world.delivery.specs == {}
    assert (await world.desk.start("next", "ann", BY_HAND)).revision == 2


@pytest.mark.parametrize(
    "text,message",
    [
        ("route: nowhere\narms: {a: {backends: [new]}}", "nowhere"),
        ("route: chat\narms: {a: {backends: [nobody]}}", "nobody"),
        ("route: chat\narms: {a: {backends: [new]}}\nsteps: [setWeight: 101]", "101|<= 100"),
    ],
)
async def test_rollout_by_hand_is_checked_as_the_files_are(
    make_world: MakeWorld, text: str, message: str
) -> None:
    world = make_world("")
    with pytest.raises(ConfigError, match=message):
        await world.desk.start("next", "ann", text)
    assert world.log() == []
    assert world.delivered == []


async def test_changed_declaration_begins_the_next_revision(make_world: MakeWorld) -> None:
    world = make_world()
    await world.minute()
    await world.minute()
    world.declare(ONE + "    alpha: 1%\n")
    await world.desk.look()
    view = world.desk.view("next")
    assert (view.revision, view.weight, view.phase) == (2, 1, "running")
    assert world.events()[-3:] == ["aborted", "started", "advanced"]
    aborted = next(one for one in world.log() if one.event == "aborted")
    assert "its declaration was changed" in aborted.sentence
    assert (
        world.desk._ledger.cases["next"].kept.account.all_evidence().arm("champion").assigned == 0
    )


async def test_comment_in_the_file_changes_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    world.declare("# a comment\n" + ONE)
    await world.desk.look()
    assert world.desk.view("next").revision == 1


async def test_rollout_that_left_the_file_is_aborted(make_world: MakeWorld) -> None:
    world = make_world()
    await world.minute()
    world.declare("")
    await world.desk.look()
    assert world.weights == {}
    assert world.events()[-1] == "aborted"
    assert world.desk.rollouts() == []
    world.declare(ONE)
    await world.desk.look()
    assert (world.desk.view("next").revision, world.weights) == (2, {"challenger": 10_000})


async def test_promotion_that_the_file_made_permanent_is_retired(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    await world.desk.promote("next", "ann", full=True)
    world.declare("")
    await world.desk.look()
    assert world.delivery == Delivery()
    assert world.events()[-1] == "retired"
    assert world.desk.history("next")[-1].plan_after == world.plan.hash


async def test_switches_and_flags_are_left_as_they_are(make_world: MakeWorld) -> None:
    world = make_world(delivery=Delivery(off=("backend.old",), flags={"f": "on"}))
    await world.minute()
    assert world.delivery.off == ("backend.old",)
    assert world.delivery.flags == {"f": "on"}


async def test_switched_off_rollouts_wait(make_world: MakeWorld) -> None:
    world = make_world(delivery=Delivery(off=("feature.rollouts",)))
    await world.minute()
    await world.minute()
    assert world.desk.view("next").wait == "switched_off"
    assert world.weights == {"challenger": 0}


async def test_what_cannot_be_put_in_force_is_shown_and_tried_again(make_world: MakeWorld) -> None:
    world = make_world(refusal="No worker is there.")
    await world.desk.look()
    await world.desk.look()
    view = world.desk.view("next")
    assert view.failure == "Not in force yet: No worker is there."
    assert world.events() == ["started", "failed"]
    world.refusal = ""
    await world.desk.look()
    assert world.weights == {}  # it is tried again, but not at once
    world.pass_ns(10**9)
    await world.desk.look()
    assert world.weights == {"challenger": 10_000}
    assert world.desk.view("next").failure == ""


async def test_time_counts_from_when_the_weight_is_in_force(make_world: MakeWorld) -> None:
    world = make_world()
    world.serve(20_000)
    await world.desk.look()
    world.refusal = "No worker is there."
    await world.minute()
    await world.minute()
    assert world.weights == {"challenger": 10_000}
    world.refusal = ""
    await world.minute()
    assert world.weights == {"challenger": 50_000}
    world.pass_ns(30 * 10**9)
    world.serve(20_000)
    await world.desk.look()
    assert world.weights == {"challenger": 50_000}
    await world.minute()
    assert world.weights == {"challenger": 250_000}


async def test_time_to_the_last_worker_is_known_to_the_next_controller(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    await world.desk.look()
    world.another()
    [view] = world.desk.rollouts()
    assert view.propagation_ms == pytest.approx(12, abs=0.01)


async def test_windows_are_by_the_wall_and_minimums_by_the_other_clock(
    make_world: MakeWorld,
) -> None:
    """2023-11-14, 22:13 UTC, a Tuesday."""
    world = make_world(ONE + "    windows: ['Tue 22:00-22:20']\n")
    await world.desk.look()
    assert world.weights == {"challenger": 10_000}
    world.wall_s -= 3600  # somebody sets the machine's time
    await world.minute()
    assert world.desk.view("next").wait == "window"
    world.wall_s += 3600 - 60
    await world.minute(0)
    assert world.weights == {"challenger": 50_000}


async def test_clock_that_was_set_back_between_controllers_makes_nothing_negative(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    await world.desk.look()
    world.wall_s -= 86_400
    world.another()
    await world.desk.look()
    assert world.desk.view("next").sentence == "At 1 %: 0 s of 1 m have passed."
    await world.minute()
    assert world.weights == {"challenger": 50_000}
    at = [one.at_ms for one in world.log()]
    assert at == sorted(at)


async def test_controller_that_comes_back_has_all_evidence(make_world: MakeWorld) -> None:
    world = make_world(is_on_disk=True)
    await world.desk.look()
    world.serve(10_000)
    await world.desk.look()
    world.serve(10_000)  # counted while nobody looks
    world.another()
    await world.desk.look()
    counts = {arm.name: arm.counts.assigned for arm in world.desk.view("next").arms}
    assert counts == {"champion": 19_800, "challenger": 200}


async def test_fresh_board_loses_what_was_counted_last_only(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    world.serve(10_000)
    world.pass_ns(6 * 10**9)
    await world.desk.look()  # this long after the last time it is written down
    world.board, world.counts = "board-2", {}
    world.another()
    await world.desk.look()
    world.serve(10_000)
    await world.desk.look()
    counts = {arm.name: arm.counts.assigned for arm in world.desk.view("next").arms}
    assert counts == {"champion": 19_800, "challenger": 200}


async def run_to_the_end(world: World, minutes: int = 7) -> None:
    for _ in range(minutes):
        await world.minute()


@pytest.mark.parametrize("dies_after", [False, True])
@pytest.mark.parametrize("errors", [{}, {"challenger": 12}])
async def test_controller_killed_at_any_step_decides_nothing_twice(
    make_world: MakeWorld, errors: dict[str, int], dies_after: bool
) -> None:
    """Before, and after, every write and every delivery in turn."""
    text = ONE + "    steps: [setWeight: 10, pause: {duration: 30s}, setWeight: 100]\n"
    whole = make_world(text, errors=errors, dies_after=dies_after)
    await run_to_the_end(whole, 5)
    expected = [(one.event, one.step, one.weights) for one in whole.log()]
    for dies_at in range(1, whole.operations + 1):
        world = make_world(text, errors=errors, dies_after=dies_after, dies_at=dies_at)
        for _ in range(5):
            try:
                await world.minute()
            except Killed:
                world.another()
                await world.desk.look()
        await run_to_the_end(world, 3)
        decided = [(one.event, one.step, one.weights) for one in world.log()]
        moves = [one for one in decided if one[0] != "delivered"]
        assert moves == [one for one in expected if one[0] != "delivered"], dies_at
        assert world.delivery == whole.delivery, dies_at
        verify(world.desk.decisions(limit=10_000))
        assert not any(case.kept.undelivered for case in world.desk._ledger.cases.values())


async def test_two_controllers_do_not_both_decide(make_world: MakeWorld) -> None:
    world = make_world(is_on_disk=True)
    old = world.desk
    await old.look()
    new = world.another()
    await new.look()
    await new.pause("next", "ann")
    with pytest.raises(StateError, match="another controller has decided meanwhile"):
        await old.abort("next", "bob")
    assert world.events()[-1] == "paused"
    assert (await old.abort("next", "bob")).phase == "aborted"


async def test_state_of_another_program_begins_anew(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    [row] = world.states()
    world.kept.save([replace(row, version=row.version + 1, text="{}")])
    world.another()
    await world.desk.look()
    assert world.desk.view("next").phase == "running"


async def test_what_nobody_knows_of_does_not_stand(make_world: MakeWorld) -> None:
    """As after the database was lost, but not the delivery."""
    left = Delivery(specs={"lost": BY_HAND}, rollouts={"lost": Standing(spec="x")}, off=("a",))
    world = make_world("", delivery=left)
    await world.desk.look()
    assert world.delivery == Delivery(off=("a",))


async def test_figures_name_every_phase(make_world: MakeWorld) -> None:
    world = make_world()
    await world.desk.look()
    await world.minute()
    figures = world.desk.figures()
    assert figures.phase["next", "running"] == 1
    assert figures.phase["next", "promoted"] == 0
    assert figures.weight["next", "challenger"] == 0.05
    assert figures.verdict["next", "challenger", "errors", "pass"] == 1
    assert figures.decisions["advanced",] == 2
