"""Fixtures of the black-box suites: factories of backends and gateways that clean up and check.

Rule 1: a backend that saw malformed HTTP from the gateway fails its test.
Rule 2: what is shared by the tests of a module is judged when the last of them has ended;
        each leaves it as it found it.
Rule 3: GATEWAY_UNDER_TEST=process runs everything against real processes; else a test that
does not ask for them gets the data plane in a thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import plays
from tests.support.backends import Backend
from tests.support.gateway import Gateway, GatewayProcess, GatewayThread
from tests.support.openai_model import OpenAIModel
from tests.support.script import Answerer
from tests.support.settings import Settings

MakeBackend = Callable[..., Backend]
MakeGateway = Callable[..., Gateway]
MakeProcess = Callable[..., GatewayProcess]
IS_PROCESS = os.environ.get("GATEWAY_UNDER_TEST") == "process"


@contextlib.contextmanager
def _backends() -> Iterator[MakeBackend]:
    made: list[Backend] = []
    with contextlib.ExitStack() as stack:

        def make(name: str = "stub", answer: Answerer | None = None, **more: Any) -> Backend:
            backend = Backend(answer or plays(OpenAIModel(name)), name=name, **more)
            made.append(stack.enter_context(backend))
            return backend

        yield make
    assert [wrong for backend in made for wrong in backend.violations] == []


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What backends wait for before they answer: `faults.held`."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    with contextlib.ExitStack() as stack:

        def make(settings: Settings, **more: Any) -> Gateway:
            if IS_PROCESS:
                return stack.enter_context(GatewayProcess(settings, tmp_path, **more))
            return stack.enter_context(GatewayThread(settings, **more))

        yield make


@contextlib.contextmanager
def _processes(folder: Path) -> Iterator[MakeProcess]:
    with contextlib.ExitStack() as stack:

        def make(settings: Settings, **more: Any) -> GatewayProcess:
            return stack.enter_context(GatewayProcess(settings, folder, **more))

        yield make


@pytest.fixture
def make_backend() -> Iterator[MakeBackend]:
    """Backends by name; without an answer, a well-behaved OpenAI model of that name."""
    with _backends() as make:
        yield make


@pytest.fixture(scope="module")
def share_backend() -> Iterator[MakeBackend]:
    """The same, for all tests of a module."""
    with _backends() as make:
        yield make


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[MakeProcess]:
    with _processes(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def share_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeProcess]:
    """The same, for all tests of a module."""
    with _processes(tmp_path_factory.mktemp("shared")) as make:
        yield make
