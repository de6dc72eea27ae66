"""A configuration as it is loaded: the text, its hash, the typed values, the warnings.

The hash is SHA-256 over canonical JSON of the data *before* `${NAME}` is replaced:
comments and layout do not change it, secrets in the environment do not enter it.

`parse` is pure but for looking whether named certificate files exist; `load` reads
the file. The environment is a parameter of both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config import relations, source
from gateway.config.effective import plain
from gateway.config.problems import Problems
from gateway.config.rollouts import Rollout
from gateway.config.salvage import salvage
from gateway.config.schema import Config
from gateway.config.shape import build
from gateway.config.source import Node
from gateway.errors import ConfigError, Problem

_LITERAL_DEFAULT = re.compile(r"\$\{\w+:-[^}]")
_DEFAULT_STATE = "./state"
_UNDER_BACKEND = ("timeout", "breaker")
_UNDER_ROUTE = ("retry", "queue", "record")


class Document(Struct, frozen=True, kw_only=True):
    """One valid configuration."""

    config: Config  # typed, defaults filled in, variables replaced
    hash: str  # names it; 64 hexadecimal digits
    text: str  # the YAML as written, variables not replaced
    warnings: tuple[Problem, ...]
    literal_secrets: tuple[str, ...]  # paths of secrets written into the file itself


def load(path: Path | str, environ: Mapping[str, str]) -> Document:
    """The configuration in a file; ConfigError tells every problem of it."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(source.MAX_TEXT_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError((Problem(f"cannot read {path}: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise ConfigError((Problem(f"{path} is not UTF-8 text"),)) from None
    return parse(text, environ)


def parse(text: str, environ: Mapping[str, str]) -> Document:
    """The configuration in a text; ConfigError tells every problem of it."""
    problems = Problems()
    root = source.read(text, environ, problems)
    if root is None:
        raise ConfigError(tuple(problems.found))
    merged = _with_defaults(root)
    config = build(Config, merged, problems)
    if problems.found:
        raise ConfigError((*problems.found, *_broken_relations(merged, problems)))
    found = relations.check(config, merged)
    found.problems.raise_if_any()
    secrets = tuple(literal_secrets(root))
    for node in secrets:
        found.doubtful("a secret is written here; better `${NAME}` from the environment", node.path)
    return Document(
        config=config,
        hash=hash_of(source.plain(root)),
        text=text,
        warnings=tuple(found.warnings.found),
        literal_secrets=tuple(node.path for node in secrets),
    )


def parse_rollout(text: str, path: str = "rollout") -> Rollout:
    """The declaration of one rollout by itself; what it refers to is not looked for."""
    problems = Problems()
    root = source.read(text, {}, problems, path)
    rollout: Rollout | None = build(Rollout, root, problems) if root is not None else None
    if rollout is None or problems.found:
        raise ConfigError(tuple(problems.found))
    return rollout


def rollout_hash(rollout: Rollout) -> str:
    """Names a declaration; 64 hexadecimal digits."""
    return hash_of(plain(rollout))


def _broken_relations(root: Node, problems: Problems) -> tuple[Problem, ...]:
    """What else is wrong, as far as the part whose shape is right tells it."""
    rest = salvage(root, problems.found)
    if rest is None:
        return ()
    return tuple(relations.check(rest.config, rest.root, rest.gone).problems.found)


def hash_of(data: object) -> str:
    """SHA-256 of the canonical JSON of plain data."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def state_directory(path: Path | str, environ: Mapping[str, str]) -> Path:
    """The `state` of a configuration file, even of one that is otherwise wrong."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        text = ""
    node = _members(source.read(text, environ, Problems())).get("state")
    is_given = node is not None and isinstance(node.value, str) and node.value
    return Path(str(node.value) if node and is_given else _DEFAULT_STATE)


def _with_defaults(root: Node) -> Node:
    """The tree with `defaults` laid under each backend and route, key by key.

    Why on the tree: each value keeps its own path and line, so a wrong default is
    reported where it stands, once.
    """
    members = _members(root)
    defaults = _members(members.get("defaults"))
    return msgspec.structs.replace(
        root,
        value={
            **members,
            **_each("backends", members, {k: defaults[k] for k in _UNDER_BACKEND if k in defaults}),
            **_each("routes", members, {k: defaults[k] for k in _UNDER_ROUTE if k in defaults}),
        },
    )


def _members(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _each(key: str, members: dict[str, Node], defaults: dict[str, Node]) -> dict[str, Node]:
    """`backends` (or `routes`) with the defaults under each entry; {} if there is nothing to do."""
    section = members.get(key)
    if section is None or not isinstance(section.value, dict) or not defaults:
        return {}
    entries = {
        name: msgspec.structs.replace(entry, value=_laid_under(_members(entry), defaults))
        if isinstance(entry.value, dict)
        else entry
        for name, entry in section.value.items()
    }
    return {key: msgspec.structs.replace(section, value=entries)}


def _laid_under(own: dict[str, Node], defaults: dict[str, Node]) -> dict[str, Node]:
    result = dict(own)
    for key, default in defaults.items():
        if key not in own or own[key].value is None:
            result[key] = default
        elif isinstance(own[key].value, dict) and isinstance(default.value, dict):
            value = {**_members(default), **_members(own[key])}
            result[key] = msgspec.structs.replace(own[key], value=value)
    return result


def literal_secrets(root: Node) -> list[Node]:
    """Secrets that stand in the file itself."""
    members = _members(root)
    candidates = [_members(members.get("admin")).get("token"), *_log_secrets(members.get("log"))]
    candidates += _notice_secrets(members.get("notices"))
    candidates += _drift_secrets(members.get("drift"))
    for backend in _members(members.get("backends")).values():
        candidates.append(_members(backend).get("api_key"))
        registry = _members(_members(backend).get("registry"))
        candidates.append(_members(registry.get("mlflow")).get("token"))
        headers = _members(_members(backend).get("headers"))
        candidates += [node for name, node in headers.items() if is_credential(name)]
    return [node for node in candidates if node and node.value and _is_literal(node)]


def _log_secrets(log: Node | None) -> Iterator[Node | None]:
    members = _members(log)
    encryption, objects = _members(members.get("encryption")), _members(members.get("objects"))
    yield encryption.get("key")
    old_keys = encryption.get("old_keys")
    yield from old_keys.value if old_keys and isinstance(old_keys.value, list) else ()
    yield _members(_members(members.get("kafka")).get("sasl")).get("password")
    yield from (objects.get("key"), objects.get("secret"))


def _notice_secrets(notices: Node | None) -> Iterator[Node | None]:
    webhooks = _members(notices).get("webhooks")
    for webhook in webhooks.value if webhooks and isinstance(webhooks.value, list) else ():
        yield _members(webhook).get("secret")
        yield _members(webhook).get("url")


def _drift_secrets(drift: Node | None) -> Iterator[Node | None]:
    alerts = _members(_members(drift).get("alerts"))
    yield from _notice_secrets(_members(drift).get("alerts"))
    yield _members(alerts.get("email")).get("password")
    for retraining in _members(_members(drift).get("retraining")).values():
        yield _members(retraining).get("secret")
        yield _members(retraining).get("url")


def _is_literal(node: Node) -> bool:
    return not node.is_expanded or _LITERAL_DEFAULT.search(node.text) is not None


def is_credential(header: str) -> bool:
    """Whether a header of this name usually holds a secret."""
    name = header.lower()
    return any(word in name for word in ("auth", "key", "token", "secret", "cookie", "password"))
