"""The effective configuration."""

from __future__ import annotations

from pathlib import Path

import yaml

from gateway.config import load, parse
from gateway.config.effective import effective
from tests.config.texts import document


def test_effective_configuration_parses_back_to_an_equal_one() -> None:
    config = load(Path("examples/gateway.yaml"), {}).config
    again = parse(yaml.safe_dump(effective(config)), {}).config
    assert (again.backends, again.routes) == (config.backends, config.routes)
    assert effective(again) == effective(config)


def test_secrets_are_masked_and_units_readable() -> None:
    shown = effective(document({"backends.two.api_key": "${K}"}, {"K": "hunter2"}).config)
    assert "hunter2" not in str(shown)
    assert shown["backends"]["two"]["api_key"] == "***"  # type: ignore[index]
    assert shown["backends"]["two"]["timeout"]["connect"] == "2s"  # type: ignore[index]
    assert shown["backends"]["one"]["api_key"] == ""  # type: ignore[index]
