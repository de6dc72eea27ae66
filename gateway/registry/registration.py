"""What is known of where one model version comes from."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.recording import Registry
from gateway.errors import GatewayError


class RegistryError(GatewayError):
    """The registry does not say; the sentence says why."""

    reason = "registry"


class Registration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model version: trained when, on what, how good; empty is not known."""

    source: str  # "config", "mlflow", "config and mlflow"
    trained_at: str = ""
    data: tuple[str, ...] = ()
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    owner: str = ""
    model: str = ""  # name in the registry
    version: str = ""  # there
    aliases: dict[str, str] = {}  # champion, challenger, …: the version each stands for
    run: str = ""  # that trained it
    description: str = ""
    as_of: str = ""  # when the registry said so last; "" it was configured
    age_s: float | None = None  # since then
    problem: str = ""  # why the registry's part is missing, or not newer


def configured(registry: Registry) -> Registration | None:
    """What the configuration itself says; None if nothing."""
    said = (registry.trained_at, registry.data, registry.metrics, registry.owner)
    if not any(said):
        return None
    return Registration(
        source="config",
        trained_at=registry.trained_at,
        data=(registry.data,) if registry.data else (),
        metrics=registry.metrics,
        owner=registry.owner,
    )


def merged(own: Registration | None, found: Registration) -> Registration:
    """Both together: what people wrote down wins over what the registry says."""
    if own is None:
        return found
    return replace(
        found,
        source="config and mlflow" if found.version else "config",
        trained_at=own.trained_at or found.trained_at,
        data=own.data or found.data,
        metrics={**found.metrics, **own.metrics},
        owner=own.owner or found.owner,
    )
