"""The live view fits its terminal, whatever its size, and keeps its columns in line."""

import io

import pytest
from rich.console import Console

from gateway.demo.figures import CLOSED, Chronicle, Second, Status
from gateway.demo.models import MODELS
from gateway.demo.stage import Place
from gateway.demo.traffic import Tally
from gateway.demo.view import Screen, spark
from tests.demo.test_figures import status_of

PLACE = Place(data_port=8080, admin_port=8081)
COUNTS = {model.name: 10 for model in MODELS}


def lines_of(width: int, height: int, status: Status | None) -> list[str]:
    chronicle, out = Chronicle(), io.StringIO()
    if status is not None:
        chronicle.add(0.0, status)
    console = Console(file=out, width=width, height=height, force_terminal=False)
    console.print(Screen(PLACE, chronicle, Tally(), 1.0))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_screen_is_never_wider_than_the_terminal(width: int) -> None:
    lines = lines_of(width, 34, status_of(CLOSED, **COUNTS))
    assert max(map(len, lines)) <= width
    assert any("http://127.0.0.1:8081/metrics" in line for line in lines)
    assert any("curl http://127.0.0.1:8080/v1/chat/completions" in line for line in lines)


@pytest.mark.parametrize("height", [24, 28, 34, 60])
def test_screen_is_never_higher_than_the_terminal(height: int) -> None:
    assert len(lines_of(80, height, status_of(CLOSED, **COUNTS))) <= height


def test_screen_before_the_first_look_says_that_it_starts() -> None:
    assert lines_of(80, 24, None) == ["The gateway is starting."]


def test_spark_shows_the_newest_second_on_the_right() -> None:
    seconds = [Second(0, is_open=False), Second(4, is_open=False), Second(8, is_open=False)]
    assert spark(seconds, 8, 5, "cyan").plain == "  ·▄█"


def test_spark_marks_seconds_in_which_the_breaker_was_open() -> None:
    text = spark([Second(0, is_open=True), Second(1, is_open=True)], 8, 2, "cyan")
    assert text.plain == "×▁"
    assert [str(span.style) for span in text.spans] == ["red", "red"]
