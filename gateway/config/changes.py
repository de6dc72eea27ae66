"""What a reload cannot change."""

from __future__ import annotations

from gateway.config.schema import Config

RESTART_ONLY = ("listen", "admin", "workers", "state")


def waiting_for_restart(running: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ and take effect at the next start only; to be told, not hidden."""
    found = [key for key in RESTART_ONLY if getattr(running, key) != getattr(new, key)]
    if running.log.niceness != new.log.niceness:
        found.append("log.niceness")
    return tuple(found)
