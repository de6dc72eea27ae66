"""The application as a whole: its pages, and the sampling that runs beside it."""

import re
from typing import get_args

import pytest

from gateway.control.app import PAGES, STATIC
from gateway.control.backends import state_of
from gateway.control.figures import BackendRaw
from gateway.plan import BackendPlan
from gateway.rollout.machine import Phase
from gateway.rollout.verdict import Value
from tests.control.parts import FakeGateway
from tests.control.plans import blank

SCRIPT = (STATIC / "status.js").read_text("utf-8")
MARKUP = (STATIC / "index.html").read_text("utf-8")
SHEET = (STATIC / "status.css").read_text("utf-8")


@pytest.mark.parametrize("path,media_type", [(p, media) for p, (_, media) in PAGES.items()])
def test_page_is_served_with_its_type(path: str, media_type: str) -> None:
    answer = FakeGateway().client().get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)


def test_static_files_are_all_served_and_nothing_else_is() -> None:
    assert {path.name for path in STATIC.iterdir()} == {name for name, _ in PAGES.values()}
    client = FakeGateway().client()
    for path in ("/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/app.py"):
        assert client.get(path).status_code == 404


def test_page_needs_nothing_from_elsewhere() -> None:
    for text in (MARKUP, SHEET, SCRIPT):
        outside = re.findall(r"https?://[^\s'\"`]+", text)
        assert set(outside) <= {"http://www.w3.org/2000/svg", "http://127.0.0.1:8080"}
        assert "@import" not in text


def test_page_keeps_to_its_own_content_security_policy() -> None:
    assert not re.search(r"<script(?![^>]*\bsrc=)", MARKUP)
    assert not re.search(r"\sstyle=|<style|\son\w+=", MARKUP)
    assert "innerHTML" not in SCRIPT
    assert "eval(" not in SCRIPT


def test_script_finds_every_element_it_names() -> None:
    ids = set(re.findall(r'id="([\w-]+)"', MARKUP))
    assert set(re.findall(r'\bat\("([\w-]+)"\)', SCRIPT)) <= ids


def test_script_has_a_word_for_every_phase_and_verdict() -> None:
    for word in (*get_args(Phase), *get_args(Value)):
        assert re.search(rf"\b{word}: \[", SCRIPT), word


def test_script_has_a_word_for_every_state() -> None:
    backend, now_ns = blank(BackendPlan, slow_start_ns=10, max_concurrency=1), 5
    raws = [
        BackendRaw(),
        BackendRaw(unhealthy=1),
        BackendRaw(open_until_ns=9),
        BackendRaw(open_until_ns=1),
        BackendRaw(cooldown_until_ns=9),
        BackendRaw(in_flight=1),
        BackendRaw(healthy_since_ns=1),
    ]
    states = {state_of(backend, raw, now_ns)[0] for raw in raws}
    assert len(states) == len(raws)
    for state in states:
        assert re.search(rf"\b{state}: \"", SCRIPT)
        assert f'[data-state="{state}"]' in SHEET


def test_board_is_sampled_while_the_application_runs() -> None:
    gateway = FakeGateway()
    gateway.board.rows["key"] = 1
    with gateway.client() as client:
        client.get("/healthz")
        gateway.board.rows["requests"][0, 0] = 50
        gateway.now_ns += 5_000_000_000
        traffic = client.get("/api/v1/status").json()["traffic"]
    assert traffic["requests_per_s"] == pytest.approx(10)
