"""The pool's book-keeping against lists and sets, and a backend's lending by what comes of it."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from gateway._fast.peer import Peer
from gateway._fast.pool import Borrower, Pool
from tests.reference.pool import ListPool
from tests.support.messages import chat
from tests.support.stage import Stage, serving


class PoolMachine(RuleBasedStateMachine):
    """Anything that callers may do, in any order."""

    @initialize(limit=st.integers(0, 4))
    def begin(self, limit: int) -> None:
        self.pool, self.model = Pool(limit), ListPool(limit)
        self.made = 0  # peers that were never taken, so never counted as lent before

    @rule()
    def a_new_peer_comes(self) -> None:
        peer = Peer()
        self.made += 1
        self.model.lent.add(peer)
        assert self.pool.keep(peer) == self.model.keep(peer)

    @rule()
    def take(self) -> None:
        assert self.pool.take() is self.model.take()

    @precondition(lambda self: self.model.lent)
    @rule(data=st.data(), comes_back=st.booleans())
    def a_lent_peer_comes_back_or_is_lost(self, data: st.DataObject, comes_back: bool) -> None:
        peer = data.draw(st.sampled_from(sorted(self.model.lent, key=id)))
        assert isinstance(peer, Peer)
        if comes_back:
            assert self.pool.keep(peer) == self.model.keep(peer)
        else:
            assert self.pool.forget(peer) == self.model.forget(peer)

    @precondition(lambda self: self.model.idle)
    @rule(data=st.data())
    def an_idle_peer_is_lost(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(self.model.idle))
        assert isinstance(peer, Peer)
        assert self.pool.forget(peer) == self.model.forget(peer)

    @rule()
    def somebody_waits(self) -> None:
        borrower = Borrower()
        self.pool.await_peer(borrower)
        self.model.waiting.append(borrower)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def somebody_waits_no_longer(self, data: st.DataObject) -> None:
        borrower = data.draw(st.sampled_from(self.model.waiting))
        assert isinstance(borrower, Borrower)
        for _ in range(2):
            self.pool.stop_waiting(borrower)
            self.model.stop_waiting(borrower)

    @rule()
    def the_next_is_served(self) -> None:
        assert self.pool.next_waiting() is self.model.next_waiting()

    @invariant()
    def both_say_the_same(self) -> None:
        if hasattr(self, "pool"):
            lent, waiting = len(self.model.lent) - self.made, len(self.model.waiting)
            idle = len(self.model.idle)
            assert repr(self.pool) == f"<Pool idle={idle} lent={lent} dials=0 waiting={waiting}>"
            assert self.pool.wants_dial() == (waiting > 0)


TestAnyOrder = PoolMachine.TestCase


def busy(count: int, **each: object) -> Stage:
    stage = Stage(serving("a", each=each))
    for _ in range(count):
        stage.client().ask(chat())
    return stage


def test_who_waits_longest_gets_the_first_connection() -> None:
    stage = busy(3)
    servers = [stage.server() for _ in range(2)]
    assert [len(server.requests()) for server in servers] == [1, 1]
    servers[0].answer()
    assert len(servers[0].requests()) == 2, "no connection is idle while somebody waits"
    stage.server()
    stage.serve()
    stage.end()


def test_nobody_waits_behind_a_dial_that_failed() -> None:
    stage = busy(3)
    stage.no_server()
    assert len(stage.dials) >= 2
    stage.serve()
    assert stage.outcomes("chat")["ok"] >= 2
    stage.wait(3)
    stage.serve()
    stage.end()


def test_a_connection_for_whom_nobody_waits_any_more_is_kept() -> None:
    stage = busy(1)
    stage.clients[0].leave()
    server = stage.server()
    assert (stage.gauge("a")["idle"], stage.gauge("a")["connections"]) == (1, 1)
    stage.client().ask(chat())
    assert len(server.requests()) == 1
    stage.serve()
    stage.end()


def test_a_lost_connection_is_dialled_anew_for_who_still_waits() -> None:
    stage = busy(2)
    server = stage.server()
    assert len(stage.dials) == 1
    server.reset()
    stage.wait(1)
    assert len(stage.dials) == 2, "the first tries again, the second still waits"
    stage.serve()
    assert [client.answer().status for client in stage.clients] == [200, 200]
    stage.end()


def test_as_many_dials_are_under_way_as_borrowers_wait() -> None:
    stage = busy(5)
    assert len(stage.dials) == 5
    for client in stage.clients[:4]:
        client.leave()
    stage.client().ask(chat())
    assert len(stage.dials) == 5, "dials for those who left serve those who came"
    stage.serve()
    stage.end()


# Plans that come and go


def moved(stage: Stage, host: str, **each: object) -> None:
    settings = serving("a", each=dict(each))
    settings["backends"]["a"]["url"] = f"http://{host}/v1"
    stage.apply(settings)


def test_a_plan_with_the_same_place_keeps_the_connections() -> None:
    stage = busy(1)
    stage.serve()
    moved(stage, "a.test", model="other")
    stage.client().ask(chat())
    assert not stage.dials
    assert b'"model": "other"' in stage.servers[0].request()[1]
    stage.serve()
    stage.end()


def test_a_plan_with_another_place_closes_them() -> None:
    stage = busy(1)
    stage.serve()
    moved(stage, "b.test")
    assert not stage.servers[0].is_open
    stage.client().ask(chat())
    assert stage.dials[0].plan.host == "b.test"


def test_a_request_under_way_is_finished_by_the_old_place() -> None:
    stage = busy(1)
    server = stage.server()
    moved(stage, "b.test")
    server.answer({"by": "old"})
    assert stage.clients[0].answer().json == {"by": "old"}
    assert not server.is_open
    stage.assert_settled()


@pytest.mark.parametrize("place", ["a.test", "b.test"])
def test_a_dial_that_a_plan_overtakes_still_serves_who_waits(place: str) -> None:
    stage = busy(1)
    moved(stage, place)
    stage.serve()
    assert stage.clients[0].answer().status == 200
    stage.assert_settled()
