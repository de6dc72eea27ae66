"""Copies beside backends, routes, judges and packages."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import json_schema
from tests.config.texts import document, problems_of

PRICED = {"input": 1.0, "output": 2.0}
THIRD = {"protocol": "openai", "url": "http://127.0.0.1:9009/v1"}
PATH = "routes.chat.shadow[0]"


def of(**more: Any) -> dict[str, Any]:
    """A backend more, and copies to it."""
    return {"backends.third": THIRD, "routes.chat.shadow": [{"backend": "third", **more}]}


def wrong(changes: dict[str, Any]) -> dict[str, str]:
    found = problems_of(changes)
    return {path.removeprefix(f"{PATH}."): message for path, message in found.items()}


def doubts(changes: dict[str, Any]) -> dict[str, str]:
    found = document(changes).warnings
    return {one.path.removeprefix(f"{PATH}."): one.message for one in found}


def test_plain_copies_are_fine() -> None:
    assert wrong(of()) == {}
    assert doubts(of()) == {}


@pytest.mark.parametrize(
    "changes, path, message",
    [
        (of(backend="thrid"), "backend", "no backend `thrid`, did you mean `third`?"),
        (of(backend="score"), "backend", "`score` speaks http, the route openai"),
        (
            of(max_body="1MiB", max_memory="3MiB"),
            "max_body",
            "a copy may hold 4 times `max_body`, which is more than `max_memory`",
        ),
        (of(max_usd_per_day=5), "max_usd_per_day", "`third` has no price, so no limit of money"),
        (of(compare={"judge": "jude"}), "compare.judge", "no route `jude`"),
        (of(compare={"judge": "fraud"}), "compare.judge", "a judge speaks openai"),
        (of(compare={"judge": "chat"}), "compare.judge", "which would never end"),
        (of(compare={"label": "/a~2"}), "compare.label", "`~` is written ~0"),
        (of(compare={"number": "/a/*"}), "compare.number", "`*` is for `ignore`"),
        (of(compare={"tolerance": -1}), "compare.tolerance", "expected 0 or more"),
        (of(compare={"schema": {"type": "objct"}}), "compare.schema", "this is no JSON Schema"),
        (of(compare={"schema": 7}), "compare.schema", "this is no JSON Schema"),
        (
            {**of(), "routes.chat.shadow": [{"backend": "third"}, {"backend": "third"}]},
            "routes.chat.shadow[1].backend",
            "`third` is named twice",
        ),
        (
            {"backends.shadow:x": THIRD},
            'backends["shadow:x"]',
            "names that begin with `shadow:` are those of copies",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    changes: dict[str, Any], path: str, message: str
) -> None:
    found = wrong(changes)
    assert list(found) == [path]
    assert message in found[path]


@pytest.mark.parametrize(
    "able, is_wrong, message",
    [
        (["embeddings"], True, "can do nothing of what the route is asked: chat, vision"),
        (["chat"], False, "not copied is what needs vision"),
        (["chat", "vision"], False, ""),
    ],
)
def test_backend_is_capable_of_what_is_copied(
    able: list[str], message: str, *, is_wrong: bool
) -> None:
    changes = {
        **of(),
        "backends.one.capabilities": ["chat"],
        "backends.two.capabilities": ["chat", "vision"],
        "backends.third": {**THIRD, "capabilities": able},
    }
    found = wrong(changes) if is_wrong else doubts(changes)
    assert message in found.get("backend", "")
    assert bool(found) == bool(message)


def test_judge_whose_own_requests_are_judged_is_refused() -> None:
    changes = {
        **of(compare={"judge": "wise"}),
        "routes.wise": {
            "backends": ["two"],
            "shadow": [{"backend": "third", "compare": {"judge": "other"}}],
        },
        "routes.other": {"backends": ["two"]},
    }
    assert "would never end" in wrong(changes)["compare.judge"]


def test_judge_that_does_not_chat_is_refused() -> None:
    changes = {
        **of(compare={"judge": "wise"}),
        "backends.two.capabilities": ["embeddings"],
        "routes.wise": {"backends": ["two"]},
    }
    assert "which `wise` cannot" in wrong(changes)["compare.judge"]


@pytest.mark.parametrize(
    "changes, path, message",
    [
        (of(sample="0%"), "sample", "nothing is copied"),
        ({**of(), "log.enabled": False}, PATH, "what is compared is written nowhere"),
        (of(compare={"judge_prompt": "?"}), "compare.judge_prompt", "nobody is told"),
    ],
)
def test_what_does_nothing_is_doubtful(changes: dict[str, Any], path: str, message: str) -> None:
    assert wrong(changes) == {}
    assert message in doubts(changes)[path]


@pytest.mark.parametrize(
    "compare, path", [({"similarity": "80%"}, "similarity"), ({"schema": {}}, "schema")]
)
def test_package_that_is_not_installed_is_named(
    compare: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(json_schema, "import_module", fail)
    assert (
        "pip install 'inference-gateway[shadow]'" in wrong(of(compare=compare))[f"compare.{path}"]
    )


def test_mirror_of_a_rollout_is_checked_as_well() -> None:
    rollout = {
        "route": "chat",
        "arms": {"new": {"backends": ["two"]}},
        "steps": [{"setMirrorRoute": {}}, {"setWeight": 100}],
        "mirror": {"backend": "two", "compare": {"judge": "chat"}},
    }
    found = problems_of(rollouts={"r": rollout})
    assert "would never end" in found["rollouts.r.mirror.compare.judge"]


def test_price_lets_money_be_limited() -> None:
    changes = {**of(max_usd_per_day=5), "backends.third": {**THIRD, "price": PRICED}}
    assert wrong(changes) == {}
