"""Rollouts and shadows beside routes, backends, each other and the log."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.rollout_relations import METRICS
from gateway.rollout.metrics import METRICS as TABLE
from tests.config.texts import document, problems_of

PRICED = {"input": 1.0, "output": 2.0}
OPENAI = {"protocol": "openai", "url": "http://127.0.0.1:9009/v1", "price": PRICED}


def of(rollout: dict[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """A valid rollout, changed."""
    return {"route": "chat", "arms": {"new": {"backends": ["two"]}}, **(rollout or {}), **more}


def wrong(
    rollout: dict[str, Any], changes: dict[str, Any] | None = None, /, **top: Any
) -> dict[str, str]:
    """What is wrong when this rollout, `r`, is declared: path below it -> message."""
    found = problems_of(
        {"backends.third": dict(OPENAI), **(changes or {})}, rollouts={"r": rollout}, **top
    )
    return {path.removeprefix("rollouts.r."): message for path, message in found.items()}


def doubts(rollout: dict[str, Any], changes: dict[str, Any] | None = None) -> dict[str, str]:
    found = document({"backends.third": dict(OPENAI), **(changes or {})}, rollouts={"r": rollout})
    return {one.path.removeprefix("rollouts.r."): one.message for one in found.warnings}


def test_a_plain_rollout_is_fine_and_its_backends_are_used() -> None:
    assert wrong(of(arms={"new": {"backends": ["third"]}})) == {}
    assert doubts(of(arms={"new": {"backends": ["third"]}})) == {}


@pytest.mark.parametrize(
    "rollout, path, message",
    [
        (of(route="chatt"), "route", "no route `chatt`, did you mean `chat`?"),
        (of(arms={}), "rollouts.r", "at least one challenger is needed, such as"),
        (of(arms={"champion": {"backends": ["two"]}}), "arms.champion", "`champion` is taken"),
        (of(arms={"a:b": {"backends": ["two"]}}), 'arms["a:b"]', "the name of an arm has 1 to 64"),
        (of(arms={"new": {}}), "arms.new", "this arm changes nothing"),
        (
            of(arms={"new": {"backends": ["tow"]}}),
            "arms.new.backends[0]",
            "no backend `tow`, did you mean `two`?",
        ),
        (
            of(arms={"new": {"backends": ["two", "two"]}}),
            "arms.new.backends[1]",
            "`two` is named twice",
        ),
        (
            of(arms={"new": {"backends": ["score"]}}),
            "arms.new.backends[0]",
            "`score` speaks http, the route openai",
        ),
        (
            of(arms={"new": {"backends": ["two"], "weights": [1, 2]}}),
            "arms.new.weights",
            "expected one weight for each of the arm's backends",
        ),
        (
            of(arms={"new": {"backends": ["two"], "weights": [0]}}),
            "arms.new.weights",
            "all weights are 0",
        ),
        (of(arms={"new": {"merge": [1]}}), "arms.new.merge", "expected an object"),
        (
            of(arms={"new": {"merge": {"model": "x"}}}),
            "arms.new.merge.model",
            "an arm cannot change `model`",
        ),
        (
            of(arms={"new": {"merge": {"stream": True}}}),
            "arms.new.merge.stream",
            "an arm cannot change `stream`",
        ),
        (
            of(arms={"new": {"policy": "cheapest_within_slo"}}),
            "arms.new.policy",
            "needs the route's `slo`",
        ),
        (of(arms={"new": {"backends": ["two"], "share": 0}}), "arms", "all shares are 0"),
        (of(unit="sesion"), "unit", "expected request, user, key, client, session, header:NAME"),
        (of(unit="header:"), "unit", "expected request, user"),
        (of(start="60%", end="40%"), "end", "`end` is not above `start`"),
        (of(holdout="100%"), "holdout", "all are held out"),
        (
            of(targets={"audiences": ["staff"]}),
            "targets.audiences[0]",
            "no audience `staff`",
        ),
        (
            of(unit="user", targets={"allow": ["a"], "deny": ["a"]}),
            "targets.allow[0]",
            "this unit is in `deny` as well",
        ),
        (of(targets={"deny": ["a"]}), "targets.deny", "the unit is `request`"),
        (
            of(targets={"where": [{"field": "user", "is": "prefix"}]}),
            "targets.where[0]",
            "`prefix` needs at least one value",
        ),
        (of(steps=[]), "steps", "at least one step is needed"),
        (of(steps=[{}]), "steps[0]", "expected exactly one of setWeight, pause, analysis"),
        (
            of(steps=[{"setWeight": 5, "pause": {}}]),
            "steps[0]",
            "expected exactly one of setWeight, pause, analysis, setMirrorRoute and setHeaderRoute,"
            " not 2",
        ),
        (of(steps=[{"setWeight": 101}]), "steps[0].setWeight", "expected a number from 0 to 100"),
        (of(steps=[{"pause": {}}]), "steps", "no step gives a challenger any request"),
        (
            of(steps=[{"setWeight": 5}, {"analysis": {"gates": ["erors"]}}]),
            "steps[1].analysis.gates[0]",
            "no gate `erors`, did you mean `errors`?",
        ),
        (
            of(steps=[{"setWeight": 5}, {"analysis": {}}], gates=[]),
            "steps[1].analysis",
            "there are no gates that could pass",
        ),
        (
            of(arms={"new": {"prompt": "Be brief."}}, steps=[{"setMirrorRoute": {}}]),
            "steps[0].setMirrorRoute",
            "copies go to a backend of the first challenger, which names none",
        ),
        (
            of(
                steps=[
                    {
                        "setHeaderRoute": {
                            "match": [{"headerName": "authorization", "headerValue": "x"}],
                            "arm": "nwe",
                        }
                    }
                ]
            ),
            "steps[0].setHeaderRoute.match[0].headerName",
            "this header holds a secret",
        ),
        (
            of(steps=[{"setHeaderRoute": {"arm": "nwe"}}, {"setWeight": 1}]),
            "steps[0].setHeaderRoute.arm",
            "no arm `nwe`, did you mean `new`?",
        ),
        (
            of(mirror={"backend": "tow"}, steps=[{"setMirrorRoute": {}}]),
            "mirror.backend",
            "no backend `tow`, did you mean `two`?",
        ),
        (
            of(gates=[{"metric": "eror"}]),
            "gates[0].metric",
            "no metric `eror`, did you mean `errors`?",
        ),
        (
            of(gates=[{"metric": "feedback.label"}]),
            "gates[0].metric",
            "`feedback.label` has no better and no worse",
        ),
        (
            of(gates=[{"metric": "errors"}, {"metric": "errors"}]),
            "gates[1]",
            "there is a gate `errors` already; give this one a `name`",
        ),
        (
            of(gates=[{"metric": "disagreement"}]),
            "gates[0].metric",
            "nothing is compared: no step copies requests",
        ),
        (
            of(gates=[{"metric": "cost"}]),
            "gates[0].metric",
            "has no price, so its requests would count as free",
        ),
        (
            of(gates=[{"metric": "errors", "test": "group_sequential"}]),
            "gates[0].test",
            "needs `maximum`",
        ),
        (
            of(gates=[{"metric": "errors", "maximum": 5}]),
            "gates[0].maximum",
            "`maximum` is below `minimum`",
        ),
        (of(gates=[{"metric": "errors", "alpha": 0}]), "gates[0].alpha", "no evidence is ever"),
        (
            of(gates=[{"metric": "errors", "pass_score": 50}]),
            "gates[0].marginal_score",
            "`marginal_score` is above `pass_score`",
        ),
        (
            of(gates=[{"metric": "drift", "needs": "better"}]),
            "gates[0].needs",
            "a challenger's drift cannot be better",
        ),
        (of(alpha=0), "alpha", "no evidence is ever enough"),
        (of(standing=True), "standing", "a standing rollout is promoted by a gate that"),
        (of(windows=["always"]), "windows[0]", "expected days, hours and a zone"),
        (
            of(windows=["daily 00:00-24:00", "Mon 9:0-25:00", "Mon- 01:00-02:00"]),
            "windows[1]",
            "expected days, hours and a zone",
        ),
        (of(windows=["Noday 09:00-17:00"]), "windows[0]", "`Noday` is no day, such as Mon"),
        (of(windows=["Mon 25:00-26:00"]), "windows[0]", "25:00 is no time of the day"),
        (of(windows=["Mon 24:00-02:00"]), "windows[0]", "it has no length"),
        (of(windows=["Mon 09:00-17:00 Mars/Base"]), "windows[0]", "`Mars/Base` is no time zone"),
        (of(deadline="1m"), "deadline", "the deadline is before the end of a step, which takes 5m"),
    ],
)
def test_wrong(rollout: dict[str, Any], path: str, message: str) -> None:
    found = wrong(rollout)
    assert path in found
    assert message in found[path]


NO_LOG = {"log": {"enabled": False}}


@pytest.mark.parametrize("metric", ["feedback.accept", "feedback.score.tone", "cost_per_accept"])
def test_feedback_needs_the_log(metric: str) -> None:
    rollout = of(gates=[{"metric": metric}])
    prices = {"backends.one.price": PRICED, "backends.two.price": PRICED}
    assert wrong(rollout, prices) == {}
    assert "which is off (log.enabled)" in wrong(rollout, prices, **NO_LOG)["gates[0].metric"]


def test_pairs_need_the_log() -> None:
    rollout = of(gates=[{"metric": "disagreement"}], steps=[{"setMirrorRoute": {}}])
    assert wrong(rollout) == {}
    assert "pairs of answers are in the log" in wrong(rollout, **NO_LOG)["gates[0].metric"]


def test_cost_is_judged_where_everybody_has_a_price() -> None:
    prices = {"backends.one.price": PRICED, "backends.two.price": PRICED}
    assert wrong(of(gates=[{"metric": "cost"}]), prices) == {}


def test_tokens_need_somebody_who_counts_them() -> None:
    rollout = {"route": "fraud", "arms": {"new": {"policy": "fastest"}}}
    gates = [{"metric": "output_tokens"}]
    found = wrong({**rollout, "gates": gates})
    assert "say nothing of tokens" in found["gates[0].metric"]
    told = {"backends.score.http": {"usage": {"output": "/usage/out"}}}
    assert wrong({**rollout, "gates": gates}, told) == {}


def test_a_prompt_is_for_openai_only() -> None:
    found = wrong({"route": "fraud", "arms": {"new": {"prompt": "Be brief."}}})
    assert "only routes of the protocol openai have a system prompt" in found["arms.new.prompt"]


def test_an_arm_that_cannot_do_what_the_route_can_is_refused() -> None:
    declared = {
        "backends.one.capabilities": ["chat", "tools", "vision"],
        "backends.third.capabilities": ["chat"],
    }
    rollout = of(arms={"new": {"backends": ["third"]}})
    found = wrong(rollout, declared)
    assert found["arms.new.backends"] == "this arm cannot do what the route can: tools, vision"
    some = {"backends.third.capabilities": ["chat"]}
    assert "declare no capabilities" in doubts(rollout, some)["arms.new.backends"]


def together(**rollouts: Any) -> dict[str, str]:
    return problems_of({"backends.third": dict(OPENAI)}, rollouts=rollouts)


def test_rollouts_of_one_layer_want_parts_of_their_own() -> None:
    found = together(a=of(layer="ui", end="60%"), b=of(layer="ui", start="50%"))
    assert found["rollouts.b"].startswith("overlaps `a`, which has 0% to 60% of the layer `ui`")
    assert together(a=of(layer="ui", end="50%"), b=of(layer="ui", start="50%")) == {}
    assert together(a=of(), b=of()) == {}


def test_a_layer_is_drawn_once() -> None:
    half = of(layer="ui", end="50%")
    found = together(a=half, b=of(layer="ui", start="50%", unit="user", salt="x", hash="md5-eppo"))
    assert found["rollouts.b.unit"] == "the layer `ui` is drawn once: `a` has request"
    assert found["rollouts.b.hash"] == "the layer `ui` is drawn once: `a` has xxh3"
    assert found["rollouts.b.salt"] == "the layer `ui` is drawn once: `a` has another salt"


def test_a_route_has_a_limited_number_of_combinations() -> None:
    arms = {f"a{n}": {"backends": ["two"]} for n in range(4)}
    found = together(a=of(arms=arms), b=of(arms=arms), c=of(arms=arms))
    assert "make 216 combinations of arms, more than 64" in found["routes.chat"]
    one_layer = [of(arms=arms, layer="l", start=n / 3, end=(n + 1) / 3) for n in range(3)]
    assert together(a=one_layer[0], b=one_layer[1], c=one_layer[2]) == {}


def test_names_of_rollouts_go_into_names_of_variants() -> None:
    assert "the name of a rollout has 1 to 64" in next(iter(together(**{"a+b": of()}).values()))


@pytest.mark.parametrize(
    "rollout, path, message",
    [
        (of(gates=[]), "gates", "nothing but open breakers takes the challenger back"),
        (
            of(steps=[{"setWeight": 50}, {"setWeight": 5}]),
            "steps[1].setWeight",
            "the weight falls from 50 %",
        ),
        (of(mirror={"backend": "two"}), "mirror", "no step copies requests"),
        (
            of(gates=[{"metric": "errors", "matured": "1m", "quantile": "p90"}]),
            "gates[0].matured",
            "only feedback matures",
        ),
        (
            of(gates=[{"metric": "errors", "quantile": "p90"}]),
            "gates[0].quantile",
            "only latency and first_byte have quantiles",
        ),
        (
            of(arms={"new": {"backends": ["two"], "weights": [1]}}),
            "arms.new.weights",
            "the policy ordered does not look at weights",
        ),
    ],
)
def test_doubtful(rollout: dict[str, Any], path: str, message: str) -> None:
    found = doubts(rollout)
    assert path in found
    assert message in found[path]


def test_a_rollout_without_the_log_is_doubtful() -> None:
    found = document(rollouts={"r": of()}, **NO_LOG)
    assert "the log is off" in {one.path: one.message for one in found.warnings}["rollouts.r"]


def test_the_names_of_metrics_are_those_of_the_table() -> None:
    assert set(METRICS) == set(TABLE)
