"""Whether a rollout that is started by hand fits the configuration in force, and the others.

Rule: the same is asked of it as of one in the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config import source
from gateway.config.document import parse_rollout
from gateway.config.problems import Problems
from gateway.config.relations import Findings
from gateway.config.rollout_relations import check_rollout, check_together
from gateway.config.rollouts import Rollout
from gateway.config.schema import Config
from gateway.errors import ConfigError


def admitted(name: str, text: str, others: Mapping[str, Rollout], config: Config) -> Rollout:
    """The rollout of this YAML; ConfigError tells every problem of it."""
    path = f"rollouts.{name}"
    rollout = parse_rollout(text, path)
    root = source.read(text, {}, Problems(), path)
    if root is None:
        raise ConfigError(())  # parse_rollout has told it already
    found = Findings(root)
    check_rollout(name, rollout, config, path, found)
    if not found.problems.found:
        check_together({**others, name: rollout}, config, found)
    found.problems.raise_if_any()
    return rollout
