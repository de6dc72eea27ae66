"""What a reload cannot change."""

from __future__ import annotations

from gateway.config.changes import waiting_for_restart
from tests.config.texts import document


def test_only_keys_that_need_a_restart_are_named() -> None:
    changed = document(
        {"routes.chat.priority": 0}, listen={"port": 1}, workers=3, log={"niceness": 19}
    )
    assert waiting_for_restart(document().config, changed.config) == (
        *("listen", "workers"),
        "log.niceness",
    )
    assert waiting_for_restart(document().config, document().config) == ()
