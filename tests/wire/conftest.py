"""One gateway and one backend for all cases of a module; what a case leaves behind would show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.fixtures import IS_PROCESS, make_backend, make_gateway
from tests.support.gateway import Gateway, GatewayProcess, GatewayThread
from tests.support.settings import echo as echo_settings
from tests.support.slowness import pytest_collection_modifyitems

__all__ = [
    "make_backend",
    "make_gateway",
    "pytest_collection_modifyitems",
]
BODY_LIMIT = 65536


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend(plays(echo), name="echo") as backend:
        yield backend
        assert backend.violations == []


@pytest.fixture(scope="module")
def gateway(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    limits = {"body": BODY_LIMIT, "replay": BODY_LIMIT}
    settings = echo_settings(backend)
    settings["routes"]["echo"]["limits"] = limits
    made = (
        GatewayProcess(settings, tmp_path_factory.mktemp("gateway"))
        if IS_PROCESS
        else GatewayThread(settings)
    )
    with made as gateway:
        yield gateway
