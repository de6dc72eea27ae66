"""Of a configuration whose shape is wrong, what else is wrong is told where that is certain."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml

from gateway.config.problems import Problems
from gateway.config.salvage import salvage
from gateway.config.source import read
from gateway.errors import Problem
from tests.config.texts import problems, problems_of, varied

NOT_SHAPE = ("no backend", "no route")


@pytest.mark.parametrize(
    "changes,paths",
    [
        (
            {"listen.prt": 1, "routes.chat.backends": ["one", "tow"]},
            {"listen.prt", "routes.chat.backends[1]"},
        ),
        (
            {"routes.chat.polcy": "x", "routes.chat.backends": ["one", "tow"]},
            {"routes.chat.polcy", "routes.chat.backends[1]"},
        ),
        ({"workers": "many", "default_route": "caht"}, {"workers", "default_route"}),
        (
            {"backends.one.max_concurrency": "lots", "routes.fraud.fallback": [{"route": "x"}]},
            {"backends.one.max_concurrency", "routes.fraud.fallback[0].route"},
        ),
        (
            {"backends.one.api_key": "${NOT_SET}", "routes.fraud.backends": ["scroe"]},
            {"backends.one.api_key", "routes.fraud.backends[0]"},
        ),
        (
            {"routes.chat.retry": {"attempts": "x"}, "routes.fraud.sticky": "moon"},
            {"routes.chat.retry.attempts", "routes.fraud.sticky"},
        ),
    ],
)
def test_broken_references_are_told_beside_wrong_types(
    changes: dict[str, Any], paths: set[str]
) -> None:
    assert set(problems_of(changes)) == paths


@pytest.mark.parametrize(
    "changes,path",
    [
        # a backend that is there, but wrong, is no broken reference, and no missing backend
        ({"backends.one.url": 5}, "backends.one.url"),
        ({"backends.score.protocol": "htp"}, "backends.score.protocol"),
        ({"backends.one": "x", "backends.two": None}, ""),
        ({"routes.chat.backends": [5, "one"]}, "routes.chat.backends[0]"),
        # what is missing because it was wrong is not said to be missing
        ({"routes.chat.policy": "cheapest_within_slo", "routes.chat.slo": 3}, "routes.chat.slo"),
        ({"admin": {"host": "0.0.0.0", "token": [1]}}, "admin.token"),
        ({"listen.port": "x", "admin.port": 8080}, "listen.port"),
        ({"backends.one.max_concurrency": "x", "backends.one.adaptive": {}}, ""),
        ({"defaults": {"retry": {"backoff": "x", "backoff_max": "1ms"}}}, "defaults.retry.backoff"),
        ({"routes": 5}, "routes"),
    ],
)
def test_nothing_is_told_that_may_follow_from_another_problem(
    changes: dict[str, Any], path: str
) -> None:
    found = problems_of(changes)
    assert path in found or not path
    assert not [message for message in found.values() if message.startswith(NOT_SHAPE)]
    assert len(found) == 1 or not path, found


def test_word_that_was_meant_is_told_but_no_list_without_what_is_wrong() -> None:
    changes = {"backends.one.url": 5, "routes.chat.backends": ["tow", "elsewhere"]}
    found = problems_of(changes)
    assert found["routes.chat.backends[0]"] == "no backend `tow`, did you mean `two`?"
    assert found["routes.chat.backends[1]"] == "no backend `elsewhere`"


def test_whole_file_that_is_wrong_leaves_nothing() -> None:
    root = read("backends: 5", {}, Problems())
    assert root is not None
    assert salvage(root, [Problem("all of it", "")]) is None


@pytest.mark.parametrize("seed", range(30))
def test_wherever_a_value_is_wrong_something_is_told_and_nothing_twice(seed: int) -> None:
    chance = random.Random(seed)
    data = varied({"routes.chat.retry": {"attempts": 2}, "listen": {"port": 1}})
    for _ in range(3):
        place: Any = data
        while isinstance(place, dict) and place:
            key = chance.choice(list(place))
            if chance.random() < 0.4 or not isinstance(place[key], dict):
                place[key] = chance.choice([None, [], {}, {"x": 1}, "?", -1])
                break
            place = place[key]
    found = problems(yaml.safe_dump(data))
    assert len(found) == len(set(found))
