"""What the demo tells at its end: the request it chooses, and the balance in words."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway.demo.afterwards import Afterwards, Attempt, Record, Sink, choose, look_back
from gateway.demo.client import Answer
from gateway.demo.models import MORTAL

BEGAN = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
DIED = datetime(2026, 11, 21, 14, 5, 30, 250000, tzinfo=UTC)


def record(id_: str, *attempts: str, outcome: str = "ok") -> Record:
    """Attempts as `backend` for good ones and `backend!` for bad ones."""
    told = [Attempt(a.rstrip("!"), "reset" if a.endswith("!") else "ok") for a in attempts]
    return Record(id_, outcome, tuple(told))


class Admin:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.asked: list[str] = []
        self._answers = answers

    async def ask(self, path: str, _body: bytes = b"") -> Answer:
        self.asked.append(path)
        found = self._answers.get(urlsplit(path).path.rsplit("/", 1)[-1])
        return Answer(404 if found is None else 200, {}, msgspec.json.encode(found))


def test_request_that_the_dying_model_let_down_comes_before_others() -> None:
    others = record("a", "flaky!", "swift"), record("b", f"{MORTAL.name}!", "swift")
    found = choose([record("c", MORTAL.name), *others])
    assert found is not None
    assert found.id == "b"
    assert choose(others[:1]) is others[0]


@pytest.mark.parametrize(
    "unfit",
    [
        record("a", "swift"),
        record("a", f"{MORTAL.name}!", outcome="connect_failed"),
        record("a", "swift", "flaky!"),  # a hedge that lost
        record("a"),
    ],
)
def test_request_that_was_not_rescued_is_not_told(unfit: Record) -> None:
    assert choose([unfit]) is None


async def test_records_are_looked_for_where_the_model_died_and_then_everywhere() -> None:
    admin = Admin(records={"records": []}, log={"figures": None})
    assert await look_back(admin, BEGAN, DIED) == Afterwards()  # type: ignore[arg-type]
    first, second, _log = (parse_qs(urlsplit(path).query) for path in admin.asked)
    assert first["since"] == ["2026-11-21T14:05:30.250000Z"]
    assert first["until"] == ["2026-11-21T14:05:34.250000Z"]
    assert second["since"] == ["2026-11-21T14:00:00Z"]
    assert "until" not in second


async def test_balance_of_every_sink_is_told() -> None:
    store = {"name": "store", "appended": 369, "shipped": 231, "waiting": 136, "dropped": 2}
    admin = Admin(records={"records": []}, log={"figures": {"sinks": [store], "streams": 2}})
    found = await look_back(admin, BEGAN, None)  # type: ignore[arg-type]
    assert found.sinks == (Sink(**store),)  # type: ignore[arg-type]
    assert found.sinks[0].sentence == (
        "369 appended = 231 shipped to the store + 136 waiting + 2 dropped"
    )


@pytest.mark.parametrize("answers", [{}, {"records": {"records": 7}}, {"records": []}])
async def test_what_the_admin_port_does_not_say_is_left_out(answers: dict[str, object]) -> None:
    assert await look_back(Admin(**answers), BEGAN, DIED) == Afterwards()  # type: ignore[arg-type]
