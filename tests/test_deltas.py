"""What the history says of a change that is not in the file."""

import pytest

from gateway.deltas import MOST_PARTS, delta
from gateway.messages import Delivery, HeaderMatch, Hold, Standing

AT_5 = Standing(spec="s", weights={"new": 50_000})
HEADER = HeaderMatch(name="x-beta", value="1", arm="new")
HELD = "alert:7 holds on chat: old at 100 %, new at 0 %, bodies of 50 %"
HOLD = Hold(route="chat", weights={"old": 1_000_000, "new": 0}, payload_ppm=500_000)


@pytest.mark.parametrize(
    "before,after,said",
    [
        ({}, {"off": ("route.chat",)}, "route.chat switched off"),
        ({"off": ("route.chat", "x")}, {"off": ("x",)}, "route.chat switched on"),
        ({}, {"flags": {"search": "new"}}, "flag search forced to new"),
        ({"flags": {"search": "new"}}, {"flags": {"search": ""}}, "flag search switched off"),
        ({"flags": {"search": ""}}, {}, "flag search back to its rules"),
        ({}, {"rollouts": {"next": AT_5}}, "rollout next new at 5 %"),
        ({"rollouts": {"next": AT_5}}, {}, "rollout next serves nobody"),
        ({}, {"rollouts": {"next": Standing(spec="s", step=2)}}, "rollout next at step 2"),
        (
            {},
            {"rollouts": {"next": Standing(spec="s", mirror_ppm=100_000, headers=(HEADER,))}},
            "rollout next copies of 10 %, by header",
        ),
        ({}, {"holds": {"alert:7": HOLD}}, HELD),
        ({"holds": {"alert:7": HOLD}}, {}, "alert:7 holds nothing any more"),
        ({"off": ("a",)}, {"off": ("a",)}, ""),
        ({"off": ("a",)}, {"off": ("b",)}, "a switched on; b switched off"),
    ],
)
def test_a_change_is_told_in_words(
    before: dict[str, object], after: dict[str, object], said: str
) -> None:
    assert delta(Delivery(**before), Delivery(**after)) == said  # type: ignore[arg-type]


def test_a_large_change_is_told_in_part() -> None:
    names = tuple(f"route.r{number:03}" for number in range(200))
    said = delta(Delivery(), Delivery(off=names))
    assert said.startswith("route.r000 switched off; ")
    assert said.endswith(f"; and {200 - MOST_PARTS} more")
    assert said.count(";") == MOST_PARTS
