"""The exception tree."""

from __future__ import annotations

from collections import Counter

from gateway import errors
from gateway.errors import OUTCOMES, ConfigError, GatewayError, Problem, Refused, UpstreamError


def leaves(root: type[GatewayError]) -> list[type[GatewayError]]:
    below = [one for one in root.__subclasses__() if one.__module__.startswith("gateway.")]
    return [leaf for one in below for leaf in leaves(one)] if below else [root]


def test_each_leaf_has_a_reason_of_its_own() -> None:
    reasons = [leaf.reason for leaf in set(leaves(GatewayError))]
    assert not {one: count for one, count in Counter(reasons).items() if count > 1}
    assert GatewayError.reason not in reasons


def test_refusals_and_upstream_errors_agree_with_the_table_of_outcomes() -> None:
    table = {outcome.reason: outcome.status for outcome in OUTCOMES}
    for leaf in (*leaves(Refused), *leaves(UpstreamError)):
        assert issubclass(leaf, Refused | UpstreamError)
        assert table[leaf.reason] == leaf.status


def test_config_error_tells_each_problem_with_its_place_at_the_end() -> None:
    error = ConfigError((Problem("too long", "routes.chat", 3), Problem("the file is empty")))
    assert str(error) == "line 3: too long - at routes.chat\nthe file is empty"
    assert isinstance(error, ValueError)


def test_module_imports_nothing_of_the_gateway() -> None:
    assert not [name for name in vars(errors) if name in {"config", "plan", "state"}]
