"""What is in production, and was: who put it there, since when, what was before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config.recording import MlflowModel
from gateway.errors import GatewayError
from gateway.production.answer import InProduction, RouteInProduction
from gateway.production.figures import DAY_S, Span
from gateway.production.moments import NotKnown, WrongTime, stamp
from gateway.registry.kept import Kept
from gateway.registry.registration import Registration
from tests.production.line import MINUTE, T0, FakeFigures, Line, figures


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def chat(line: Line, at: str = "") -> RouteInProduction:
    [route] = line.in_force().at(at, "chat").routes
    return route


def one(line: Line, at: str = "") -> InProduction:
    return chat(line, at).backends[0]


def minute(number: float) -> str:
    return stamp(T0 + number * MINUTE)


# -- since when, by whom


def test_configuration_in_force_is_told_with_its_author(line: Line) -> None:
    entry = line.change({"backends.one.version": "1"}, by="ada")
    found = line.in_force().at()
    assert (found.plan, found.is_now, found.since.by, found.since.at) == (
        entry.hash,
        True,
        "ada",
        minute(1),
    )
    assert [route.name for route in found.routes] == ["chat", "fraud"]
    assert [each.backend for each in found.routes[0].backends] == ["one", "two"]
    assert one(line).version == "1"


def test_change_elsewhere_does_not_reset_since(line: Line) -> None:
    line.change(by="ada")
    line.change({"routes.fraud.priority": 1}, by="bob")
    line.change({"admin": {"port": 9}, "routes.fraud.priority": 1}, by="eve")
    route = chat(line)
    assert (route.since.at, route.since.by) == (minute(1), "ada")
    assert (one(line).since.at, one(line).weight_since.at) == (minute(1), minute(1))
    assert line.in_force().at().since.by == "eve"


def test_change_of_a_backend_touches_its_routes_but_keeps_the_model(line: Line) -> None:
    line.change(by="ada")
    line.change({"backends.one.timeout": {"total": "9s"}}, by="bob")
    assert chat(line).since.by == "bob"
    assert one(line).since.by == "ada"
    fraud = line.in_force().at("", "fraud").routes[0]
    assert fraud.since.by == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"backends.one.version": "2"},
        {"backends.one.model": "other"},
        {"backends.one.url": "http://127.0.0.1:9009/v1"},
    ],
)
def test_another_model_behind_a_backend_begins_anew(line: Line, changes: dict[str, Any]) -> None:
    line.change(by="ada")
    line.change(changes, by="bob")
    assert (one(line).since.by, one(line).since.at) == ("bob", minute(2))
    assert chat(line).backends[1].since.by == "ada"


def test_defaults_touch_every_route(line: Line) -> None:
    line.change(by="ada")
    line.change({"defaults": {"retry": {"attempts": 4}}}, by="bob")
    assert [route.since.by for route in line.in_force().at().routes] == ["bob", "bob"]
    assert one(line).since.by == "ada"


def test_rolled_back_version_counts_from_the_rollback(line: Line) -> None:
    line.change({"backends.one.version": "1"}, by="ada")
    line.change({"backends.one.version": "2"}, by="bob")
    line.change({"backends.one.version": "1"}, by="eve")
    found = one(line)
    assert (found.version, found.since.by) == ("1", "eve")
    assert found.before is not None
    assert (found.before.version, found.before.since.by) == ("2", "bob")


def test_what_was_refused_changed_nothing(line: Line) -> None:
    line.change(by="ada")
    line.change({"backends.one.version": "2"}, by="bob", outcome="refused")
    assert one(line).since.by == "ada"
    assert line.in_force().at().since.by == "ada"


def test_same_again_is_one_stretch(line: Line) -> None:
    line.change(by="ada")
    line.change(by="signal")
    assert line.in_force().at().since.by == "ada"


def test_long_history_says_at_least(line: Line) -> None:
    line.change(by="ada")
    line.change({"routes.fraud.priority": 1}, by="bob")
    del line.entries[0]
    assert one(line).since.is_at_least
    assert one(line).since.by == "bob"


def test_weights_are_shares_and_have_a_since_of_their_own(line: Line) -> None:
    def weights(first: int, second: int) -> dict[str, Any]:
        backends = [{"backend": "one", "weight": first}, {"backend": "two", "weight": second}]
        return {"routes.chat.policy": "weighted", "routes.chat.backends": backends}

    line.change(weights(9, 1), by="ada")
    line.change(weights(3, 1), by="bob")
    first, second = chat(line).backends
    assert (first.weight, first.share, second.share) == (3, 0.75, 0.25)
    assert (first.since.by, first.weight_since.by) == ("ada", "bob")
    assert (second.since.by, second.weight_since.by) == ("ada", "ada")
    line.change()
    assert one(line).share is None  # the policy is `ordered`


def test_backends_of_other_roles_are_told(line: Line) -> None:
    line.change({"routes.chat.backends": ["one"], "routes.chat.fallback": ["two", "unavailable"]})
    assert [(b.backend, b.role) for b in chat(line).backends] == [
        ("one", "candidate"),
        ("two", "fallback"),
    ]
    line.change({"routes.chat.fallback": [{"rule": {"body": "x"}}, {"backend": "two"}]})
    assert [b.role for b in chat(line).backends] == ["candidate", "candidate", "fallback"]


# -- other times


def test_past_is_what_was_in_force_then(line: Line) -> None:
    line.change({"backends.one.version": "1"}, by="ada")
    line.change({"backends.one.version": "2"}, by="bob")
    found = one(line, minute(1.5))
    assert (found.version, found.since.by, found.before) == ("1", "ada", None)
    answer = line.in_force().at(minute(1.5))
    assert (answer.is_now, answer.at) == (False, minute(1.5))
    assert one(line, minute(2)).version == "2"


def test_time_before_the_first_is_a_sentence(line: Line) -> None:
    with pytest.raises(NotKnown, match="no configuration has been in force yet"):
        line.in_force().at()
    line.change(by="ada")
    said = f"the first configuration in the history came into force at {minute(1)}, by ada"
    with pytest.raises(NotKnown, match=said):
        line.in_force().at(minute(0))


@pytest.mark.parametrize(
    "text,said", [("soon", "`soon` is no time"), ("2999-01-01", "has not come")]
)
def test_wrong_time_is_a_sentence(line: Line, text: str, said: str) -> None:
    line.change()
    with pytest.raises(WrongTime, match=said):
        line.in_force().at(text)


def test_unknown_route_names_the_one_that_was_meant(line: Line) -> None:
    line.change()
    with pytest.raises(NotKnown, match=r"there was no route `chatt` at .*, did you mean `chat`"):
        line.in_force().at("", "chatt")


# -- versions


def test_variables_are_replaced_now_and_left_alone_in_the_past(line: Line) -> None:
    line.change({"backends.one.version": "${V}", "backends.two.version": "${W:-7}"})
    line.environ = {"V": "2024-08-06"}
    line.now_s += MINUTE
    assert [each.version for each in chat(line).backends] == ["2024-08-06", "7"]
    assert [each.version for each in chat(line, minute(1)).backends] == ["${V}", "7"]


def test_answers_say_which_version_it_is(line: Line) -> None:
    line.change({"backends.one.version": "2024-07-18"})
    line.figures = FakeFigures({("chat", "one"): figures(versions={"2024-08-06": 100})})
    found = one(line)
    assert (found.version, found.configured_version) == ("2024-08-06", "2024-07-18")
    assert found.note == "configured 2024-07-18, answers say 2024-08-06"


# -- what was before, and how it compares


def test_previous_version_is_the_same_backend_with_another_model(line: Line) -> None:
    line.change({"backends.one.version": "1"}, by="ada")
    line.change({"backends.one.version": "2"}, by="bob")
    before = one(line).before
    assert before is not None
    assert (before.backend, before.version, before.until) == ("one", "1", minute(2))
    assert (before.since.by, before.is_still_there) == ("ada", False)


def test_previous_version_is_the_candidate_that_left(line: Line) -> None:
    line.change({"routes.chat.backends": ["one"], "backends.one.version": "1"})
    line.change({"routes.chat.backends": ["two"], "backends.two.version": "2"})
    before = one(line).before
    assert before is not None
    assert (before.backend, before.version, before.is_still_there) == ("one", "1", False)


def test_newcomer_is_compared_with_the_one_it_stands_beside(line: Line) -> None:
    line.change({"routes.chat.backends": ["one"]})
    line.change({"routes.chat.backends": ["one", "two"]})
    line.figures = FakeFigures()
    newcomer = chat(line).backends[1]
    assert newcomer.before is not None
    assert (newcomer.before.backend, newcomer.before.is_still_there) == ("one", True)
    assert newcomer.before.window == newcomer.window
    assert chat(line).backends[0].before is None


def test_figures_are_of_the_last_day_of_each_version(line: Line) -> None:
    line.figures = FakeFigures()
    line.change({"backends.one.version": "1"})
    line.now_s += 3 * DAY_S
    line.change({"backends.one.version": "2"})
    changed = line.now_s
    line.now_s += 2 * DAY_S
    chat(line)
    assert set(line.figures.spans) == {
        Span(line.now_s - DAY_S, line.now_s),
        Span(changed - DAY_S, changed),
    }
    line.now_s = changed + 60
    chat(line)
    assert Span(changed, line.now_s) in line.figures.spans


def test_versions_are_compared(line: Line) -> None:
    line.change({"backends.one.version": "1"})
    line.change({"backends.one.version": "2"})
    line.now_s += MINUTE

    now, before = (T0 + 2 * MINUTE, T0 + 3 * MINUTE), (T0 + MINUTE, T0 + 2 * MINUTE)
    good = figures(error_share=0.02, p50_s=0.5, p95_s=1.0, cost_usd=0.02)
    bad = figures(error_share=0.01, p50_s=1.0, p95_s=2.0, cost_usd=0.0)
    line.figures = FakeFigures(
        by_span={
            Span(*now): {("chat", "one"): good, ("chat", ""): figures(error_share=0.03)},
            Span(*before): {("chat", "one"): bad, ("chat", ""): figures(error_share=0.01)},
        }
    )
    found = one(line).difference
    assert found is not None
    assert (found.error_share, found.route_error_share) == (0.01, 0.02)
    assert (found.p50, found.p95, found.cost) == (-0.5, -0.5, None)
    assert line.in_force().at().figures == "counted by hand"


def test_figures_that_fail_cost_a_note_only(line: Line) -> None:
    line.change()
    line.figures = FakeFigures()
    line.figures.failure = GatewayError("the store is damaged")
    found = line.in_force().at()
    assert found.notes == ("there are no figures: the store is damaged",)
    assert (found.figures, found.routes[0].backends[0].figures) == ("", None)


def test_number_of_spans_is_bounded(line: Line) -> None:
    names = [f"b{n}" for n in range(30)]
    for n in range(1, 31):
        backends = {f"backends.{name}": {"protocol": "openai", "url": "http://h"} for name in names}
        line.change(backends | {"routes.chat.backends": names[:n]})
    line.figures = FakeFigures()
    assert line.in_force().at("", "chat").notes == ("some figures are left out; ask for one route",)
    assert len(line.figures.spans) == 12


# -- registration


def test_registration_is_what_the_configuration_says(line: Line) -> None:
    registry = {"trained_at": "2026-09-01", "data": "payments", "metrics": {"auc": 0.9, "n": 5}}
    line.change({"backends.one.registry": registry})
    assert one(line).registration == Registration(
        source="config", trained_at="2026-09-01", data=("payments",), metrics={"auc": 0.9, "n": 5}
    )
    assert chat(line).backends[1].registration is None


def test_registration_is_what_mlflow_said_then(line: Line, tmp_path: Path) -> None:
    registry = {"mlflow": {"url": "${MLFLOW}", "name": "fraud", "alias": "champion", "token": "x"}}
    line.change({"backends.one.registry": registry})
    line.environ = {"MLFLOW": "http://mlflow:5000"}
    model = MlflowModel(url="http://mlflow:5000", name="fraud", alias="champion")
    kept = Kept(tmp_path)
    kept.add(model, Registration(source="mlflow", version="7"), T0)
    kept.add(model, Registration(source="mlflow", version="8"), T0 + 10 * MINUTE)
    line.now_s = T0 + 20 * MINUTE
    now, then = one(line).registration, one(line, minute(5)).registration
    assert now is not None
    assert then is not None
    assert (now.version, now.age_s, now.as_of) == ("8", 600.0, minute(10))
    assert (then.version, then.as_of) == ("7", minute(0))
