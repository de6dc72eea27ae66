"""From a plan to compiled objects; what survives a change of plan, and what does not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway._fast import Backend, Board, Table
from gateway.compiler import CELL_CAPACITY, ROW_CAPACITY, compile_plan, places_of
from gateway.dataplane.table import build_table, retire
from gateway.plan import Plan
from tests.config.texts import SMALL, document

SLOT = 0


class Bench:
    """A board, and tables over it one after the other."""

    def __init__(self) -> None:
        self.board = Board.create(1, ROW_CAPACITY, CELL_CAPACITY)
        self.plan: Plan | None = None
        self.table: Table | None = None
        self.dialled: list[Backend] = []

    def build(self, changes: dict[str, Any] | None = None, /, **top: Any) -> Table:
        places = places_of(self.plan) if self.plan else None
        given = document(changes, **top)
        self.plan = compile_plan(given, places=places) if places else compile_plan(given)
        self.table = build_table(
            self.plan,
            board=self.board,
            slot=SLOT,
            dial=self.dialled.append,
            previous=self.table,
        )
        return self.table


def backend(table: Table, name: str) -> Backend:
    return next(each for each in table.backends if each.name == name)


def test_every_backend_and_route_of_the_plan_is_there() -> None:
    table = Bench().build()
    assert [each.name for each in table.backends] == ["one", "two", "score"]
    assert set(table.routes) == {b"chat", b"fraud"}
    assert [each.name for each in table.routes[b"chat"].backends] == ["one", "two"]


def test_connections_survive_while_the_place_is_the_same() -> None:
    bench = Bench()
    before = bench.build()
    after = bench.build({"backends.one.model": "other", "backends.one.timeout": {"idle": "1s"}})
    assert backend(after, "one").pool is backend(before, "one").pool
    assert backend(after, "one").plan.model == "other"
    retire(before, after)
    assert backend(after, "one").is_current


@pytest.mark.parametrize(
    "changes",
    [
        {"backends.two.url": "https://two.example:444/v1"},
        {"backends.two.url": "https://moved.example/v1"},
        {"backends.two.url": "http://two.example/v1"},
        {"backends.two.tls": {"server_name": "x.test"}},
    ],
)
def test_connections_go_when_the_place_is_another(changes: dict[str, Any]) -> None:
    bench = Bench()
    before = bench.build()
    after = bench.build(changes)
    assert backend(after, "two").pool is not backend(before, "two").pool
    retire(before, after)
    assert not backend(before, "two").is_current, "what comes back to it is closed"
    assert backend(before, "one").is_current


def test_backend_keeps_its_cell_whatever_stands_before_it() -> None:
    bench = Bench()
    before = bench.build()
    cells = {each.name: each.cell_index for each in before.backends}
    after = bench.build({"backends.zero": {"protocol": "openai", "url": "http://zero.test/v1"}})
    assert {name: backend(after, name).cell_index for name in cells} == cells
    assert backend(after, "zero").cell_index not in cells.values()


def test_backend_that_is_gone_takes_its_pool_with_it() -> None:
    bench = Bench()
    before = bench.build()
    fewer = {name: SMALL["backends"][name] for name in ("one", "score")}
    after = bench.build({"routes.chat.backends": ["one"]}, backends=fewer)
    retire(before, after)
    assert [each.is_current for each in before.backends] == [True, False, True]


def test_failure_to_build_leaves_the_previous_table_as_it_was() -> None:
    bench = Bench()
    before = bench.build()
    pools = [each.pool for each in before.backends]
    assert bench.plan is not None
    chat, *others = bench.plan.routes
    beyond = replace(chat, row=ROW_CAPACITY)
    with pytest.raises(IndexError):
        build_table(
            replace(bench.plan, routes=(beyond, *others)),
            board=bench.board,
            slot=SLOT,
            dial=bench.dialled.append,
            previous=before,
        )
    assert [each.pool for each in before.backends] == pools
    assert all(each.is_current for each in before.backends)


def test_usage_of_a_service_of_ones_own_is_read_where_the_configuration_says() -> None:
    usage = {"input": "/meta/in", "output": "/meta/out"}
    table = Bench().build({"backends.score.http": {"usage": usage}})
    assert backend(table, "score").plan.input_tokens_pointer == "/meta/in"


def test_only_a_route_that_falls_back_to_them_keeps_last_good_answers() -> None:
    table = Bench().build(
        {"routes.chat.fallback": ["cached"], "routes.chat.cache": {"entries": 1, "ttl": "1s"}}
    )
    assert table.routes[b"fraud"].answers is None
    answers = table.routes[b"chat"].answers
    answers.keep(b"1", (200, b"", b""))
    answers.keep(b"2", (200, b"", b""))
    assert len(answers) == 1, "as many as configured"


def test_gateway_answers_health_and_models_itself() -> None:
    table = Bench().build()
    assert table.answers[b"/readyz"][0] == 200
    models = orjson.loads(table.answers[b"/v1/models"][2])
    assert [model["id"] for model in models["data"]] == ["chat"], "of its protocol only"
    assert table.answers[b"/v2/health/live"] == (200, b"application/json", b'{"live":true}')
    assert b"/v1/models/chat" in table.answers
