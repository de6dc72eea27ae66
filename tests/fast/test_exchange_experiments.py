"""Which arm a request is given, who serves it, what changes in its body, what is recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.bucketing import bucket_of
from gateway.config.document import parse, rollout_hash
from gateway.messages import Delivery, HeaderMatch, Standing
from gateway.plan import PPM
from tests.support.messages import chat
from tests.support.stage import Settings, Stage, serving

SALT = "next"


def settings(**rollout: Any) -> Settings:
    made = {"route": "chat", "arms": {"challenger": {"backends": ["new"]}}, **rollout}
    found = serving("old", top={"rollouts": {"next": made}})
    found["backends"]["new"] = {"protocol": "openai", "url": "http://new.test/v1"}
    return found


def at(weight: int, found: Settings, **standing: Any) -> Delivery:
    rollout = parse(json.dumps(found), {}).config.rollouts["next"]
    challenger = next(iter(rollout.arms))
    weights = {challenger: weight}
    stands = Standing(spec=rollout_hash(rollout), step=1, weights=weights, **standing)
    return Delivery(rollouts={"next": stands})


def stage_at(weight: int, *, standing: dict[str, Any] | None = None, **rollout: Any) -> Stage:
    found = settings(**rollout)
    return Stage(found, delivery=at(weight, found, **(standing or {})))


def served(stage: Stage, request: bytes) -> tuple[str, Any]:
    """Who was asked, and its answer's arm."""
    client = stage.client()
    client.ask(request)
    stage.serve()
    return client.answer().json["by"], client.answer().fields.get("x-gateway-arm")


def row(stage: Stage, arm: str) -> dict[str, Any]:
    [variant] = [each for each in stage.plan.routes[0].variants if each.arm == arm]
    found: dict[str, Any] = stage.board.read_row(variant.row)
    return found


@pytest.mark.parametrize(
    "weight, name, arm", [(0, "old", "next:champion"), (PPM, "new", "next:challenger")]
)
def test_arm_serves_by_its_own_candidates(weight: int, name: str, arm: str) -> None:
    stage = stage_at(weight)
    assert served(stage, chat()) == (name, arm)
    assert row(stage, arm)["requests"] == row(stage, arm)["recorded"] == 1


def test_same_user_has_the_same_arm_and_the_buckets_of_the_reference() -> None:
    stage = stage_at(300_000, unit="user")
    for number in range(40):
        user = f"user-{number}"
        bucket = bucket_of(user.encode(), SALT)
        expected = "new" if bucket < 300_000 else "old"
        assert served(stage, chat(user=user))[0] == expected
        assert served(stage, chat(user=user))[0] == expected
        [assignment] = stage.log.records()[-1].assignments
        assert assignment.bucket == bucket
        assert (assignment.unit, assignment.reason) == ("user", "")


def test_record_tells_layer_salt_bucket_arm_rollout_and_step() -> None:
    stage = stage_at(PPM, unit="user", layer="models", salt="s2")
    served(stage, chat(user="ada"))
    [assignment] = stage.log.records()[0].assignments
    assert (assignment.layer, assignment.salt, assignment.arm) == ("models", "s2", "challenger")
    assert (assignment.rollout, assignment.step) == ("next", 1)
    assert assignment.bucket == bucket_of(b"ada", "s2")


def test_who_is_without_the_unit_is_drawn_by_request_and_the_record_says_so() -> None:
    stage = stage_at(PPM, unit="user")
    served(stage, chat())
    [assignment] = stage.log.records()[0].assignments
    record = stage.log.records()[0]
    assert assignment.unit == "request"
    assert assignment.bucket == bucket_of(record.request_id.encode(), SALT)


def test_hash_of_another_system_draws_as_it_does() -> None:
    stage = stage_at(500_000, unit="user", hash="murmur3-flagd")
    for number in range(20):
        bucket = bucket_of(f"u{number}".encode(), SALT, "murmur3-flagd")
        assert served(stage, chat(user=f"u{number}"))[0] == ("new" if bucket < 500_000 else "old")


def test_holdout_is_served_by_the_route_itself() -> None:
    stage = stage_at(PPM, unit="user", holdout="50%")
    held = next(name for name in map(str, range(100)) if bucket_of(name.encode(), SALT) >= PPM // 2)
    assert served(stage, chat(user=held)) == ("old", None)
    [assignment] = stage.log.records()[0].assignments
    assert (assignment.arm, assignment.reason) == ("", "holdout")


def test_header_leads_to_the_challenger_outside_the_evidence() -> None:
    match = HeaderMatch(name="x-canary", value="1", arm="challenger")
    stage = stage_at(0, standing={"headers": (match,)})
    assert served(stage, chat("x-canary: 1")) == ("new", "next:challenger:forced")
    assert served(stage, chat("x-canary: 2")) == ("old", "next:champion")
    assert stage.log.records()[0].assignments[0].reason == "header"
    assert row(stage, "next:challenger")["requests"] == 0


def test_lists_are_looked_at_before_the_draw() -> None:
    where = [{"field": "user", "values": ["ada", "eve"]}]
    targets = {"allow": ["ada"], "deny": ["bob"], "where": where}
    stage = stage_at(PPM, unit="user", targets=targets)
    arms = {}
    for user in ("ada", "bob", "eve", "joe"):
        name, _ = served(stage, chat(user=user))
        [assignment] = stage.log.records()[-1].assignments
        arms[user] = (name, assignment.arm, assignment.reason)
    assert arms == {
        "ada": ("new", "challenger", "allowed"),
        "bob": ("old", "", "denied"),
        "eve": ("new", "challenger", ""),
        "joe": ("old", "", "untargeted"),
    }


def test_arm_changes_prompt_and_parameters_and_the_record_keeps_what_the_client_sent() -> None:
    arm = {"prompt": "Be brief.", "merge": {"temperature": 0, "top_p": None}}
    found = serving("old", top={"rollouts": {"next": {"route": "chat", "arms": {"terse": arm}}}})
    found["routes"]["chat"]["record"] = {"payload": "full"}
    stage = Stage(found, delivery=at(PPM, found))
    messages = [{"role": "system", "content": "Talk."}, {"role": "user", "content": "Hi"}]
    client, server = stage.asked(chat(messages=messages, top_p=0.9))
    sent = json.loads(server.request()[1])
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, messages[1]]
    assert sent["temperature"] == 0
    assert sent["model"] == "old"
    assert "top_p" not in sent
    server.answer({"choices": []})
    client.answer()
    [line] = stage.log.lines()
    assert json.loads(line)["request"]["body"]["top_p"] == 0.9


def test_challenger_that_fails_is_rescued_and_counted_as_failed() -> None:
    stage = stage_at(PPM, arms={"challenger": {"backends": ["new"]}})
    client = stage.client()
    client.ask(chat())
    stage.serve(new=500)
    stage.wait(1.0)
    stage.serve(new=500)
    assert client.answer().json == {"by": "old"}
    assert stage.log.records()[0].fallback == "route"
    challenger = row(stage, "next:challenger")
    assert (challenger["requests"], challenger["fallbacks"], challenger["outcomes"][0]) == (1, 1, 0)
    assert client.answer().fields.get("x-gateway-arm") is None


def test_two_layers_are_drawn_each_for_itself() -> None:
    found = settings()
    found["rollouts"]["prompt"] = {"route": "chat", "arms": {"terse": {"prompt": "Be brief."}}}
    config = parse(json.dumps(found), {}).config
    stands = {
        name: Standing(spec=rollout_hash(config.rollouts[name]), weights={arm: 500_000})
        for name, arm in (("next", "challenger"), ("prompt", "terse"))
    }
    stage = Stage(found, delivery=Delivery(rollouts=stands), rows=64)
    seen = set()
    for _ in range(60):
        name, arm = served(stage, chat())
        layers = stage.log.records()[-1].assignments
        assert arm == "+".join(f"{each.rollout}:{each.arm}" for each in layers)
        assert (name == "new") == (layers[0].arm == "challenger")
        seen.add(arm)
    assert len(seen) == 4


def test_sums_and_squares_of_an_arm_are_kept_for_gates() -> None:
    found = settings()
    found["backends"]["new"]["price"] = {"input": 1000, "output": 2000}
    stage = Stage(found, delivery=at(PPM, found))
    client = stage.client()
    client.ask(chat())
    server = stage.server()
    for tokens in (10, 30):
        usage = {"prompt_tokens": 5, "completion_tokens": tokens}
        choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
        server.answer({"choices": [choice], "usage": usage})
        client.ask(chat())
    server.answer({}, 400)
    counts = row(stage, "next:challenger")
    assert (counts["input_tokens"], counts["output_tokens"]) == (10, 40)
    assert (counts["input_squares"], counts["output_squares"]) == (50, 1000)
    assert counts["finishes"][1] == 2
    assert counts["cost_squares"] == pytest.approx(0.025**2 + 0.065**2)


def test_answer_that_a_retry_saved_is_counted_as_recovered() -> None:
    stage = stage_at(PPM, arms={"challenger": {"backends": ["new", "old"]}})
    client = stage.client()
    client.ask(chat())
    stage.serve(new=500)
    assert client.answer().json == {"by": "old"}
    client.ask(chat())
    stage.serve()
    counts = row(stage, "next:challenger")
    assert (counts["requests"], counts["outcomes"][0], counts["recovered"]) == (2, 2, 1)
    assert counts["fallbacks"] == 0
