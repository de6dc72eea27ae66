"""Loading: defaults, hash, files; and that nothing but ConfigError ever comes out."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.compiler import compile_plan
from gateway.config import load, parse
from gateway.config.document import state_directory
from gateway.config.effective import effective
from gateway.errors import ConfigError
from gateway.plan import Plan
from gateway.summary import summary_of
from tests.config.texts import SMALL, document, varied

EXAMPLES = sorted(Path("examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_valid_without_warnings(path: Path) -> None:
    names = ("OPENAI_API_KEY", "SLACK_WEBHOOK", "OPS_HOST", "WEBHOOK_SECRET")
    assert load(path, dict.fromkeys(names, "0123456789abcdef0123456789abcdef")).warnings == ()


def test_defaults_are_laid_under_each_entry_key_by_key() -> None:
    config = document(
        {"backends.one.timeout": {"connect": "3s"}, "backends.two.timeout": None},
        defaults={"timeout": {"connect": "1s", "idle": "9s"}, "retry": {"attempts": 4}},
    ).config
    assert [str(config.backends[name].timeout.connect) for name in ("one", "two")] == ["3s", "1s"]
    assert str(config.backends["one"].timeout.idle) == "9s"
    assert {route.retry.attempts for route in config.routes.values()} == {4}


def test_wrong_section_beside_a_default_is_told_at_its_own_place() -> None:
    with pytest.raises(ConfigError) as caught:
        document({"backends.one.timeout": 5}, defaults={"timeout": {"connect": "1s"}})
    assert [one.path for one in caught.value.problems] == ["backends.one.timeout"]


def test_hash_ignores_layout_and_comments() -> None:
    flow = yaml.safe_dump(SMALL, default_flow_style=True)
    block = "# a comment\n" + yaml.safe_dump(SMALL, default_flow_style=False)
    assert parse(flow, {}).hash == parse(block, {}).hash
    assert len(parse(flow, {}).hash) == 64


def test_hash_tells_different_settings_apart() -> None:
    assert document({"routes.chat.priority": 1}).hash != document().hash


@given(st.text(string.ascii_letters + string.digits, min_size=1))
def test_hash_never_depends_on_a_secret_of_the_environment(secret: str) -> None:
    changes = {"backends.two.api_key": "${KEY}"}
    one, other = document(changes, {"KEY": "x"}), document(changes, {"KEY": secret})
    assert one.hash == other.hash
    assert secret not in one.text.split() or secret == "x"


def test_secret_shows_in_no_representation() -> None:
    changes = {"backends.two.api_key": "${KEY}", "backends.two.headers": {"x-k": "${KEY}"}}
    assert "hunter2" not in repr(document(changes, {"KEY": "hunter2"}))


def test_literal_secrets_are_found() -> None:
    found = document(
        {
            "backends.two.api_key": "sk-literal",
            "backends.one.headers": {"x-api-key": "k", "x-team": "t", "cookie": "${C:-}"},
            "admin": {"token": "0123456789abcdef"},
            "backends.score.api_key": "${K:-sk-default}",
        }
    )
    assert found.literal_secrets == (
        "admin.token",
        "backends.one.headers.x-api-key",
        "backends.two.api_key",
        "backends.score.api_key",
    )


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        document().config.workers = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "content, message",
    [(b"\xff\xfe\x00", "is not UTF-8 text"), (None, "No such file or directory")],
)
def test_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "gateway.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path, {})
    assert "\n" not in str(caught.value)


def test_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(SMALL), "utf-8-sig")
    assert load(path, {}).config.backends["one"].protocol == "openai"


@pytest.mark.parametrize(
    "content, directory",
    [
        ("state: /var/lib/gw\nroutes: wrong\n", "/var/lib/gw"),
        ("state: ${DIR}\n", "/x"),
        ("routes: [", "./state"),
        ("state: 5\n", "./state"),
    ],
)
def test_state_directory_is_known_even_from_a_wrong_file(
    tmp_path: Path, content: str, directory: str
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(content)
    assert state_directory(path, {"DIR": "/x"}) == Path(directory)


def test_state_directory_without_a_file_is_the_default(tmp_path: Path) -> None:
    assert state_directory(tmp_path / "none.yaml", {}) == Path("./state")


def try_all(text: str) -> None:
    """Refused with a ConfigError; or else loaded, compiled, summed up and printed without one."""
    try:
        loaded = parse(text, {"A": "1"})
    except ConfigError:
        return
    plan = compile_plan(loaded)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan
    assert summary_of(loaded, plan).routes
    yaml.safe_dump(effective(loaded.config))


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["5s", "20%", "8MiB", "one", "cached", "${A}", "${B}", "adaptive", "/x"])
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def paths_of(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    )
    return [path] + [deep for key, child in children for deep in paths_of(child, (*path, key))]


FULL = yaml.safe_load(Path("examples/gateway.yaml").read_text())
PLACES = [path for path in paths_of(FULL) if path]


@given(st.sampled_from(PLACES), JUNK)
def test_valid_configuration_with_one_place_replaced_is_loaded_or_refused(
    place: tuple[Any, ...], junk: object
) -> None:
    changed = yaml.safe_load(Path("examples/gateway.yaml").read_text())
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = junk
    try_all(yaml.safe_dump(changed))


TEXT = Path("examples/gateway.yaml").read_text()


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 40), st.text(max_size=5))
def test_valid_text_with_a_piece_replaced_is_loaded_or_refused(
    start: int, length: int, piece: str
) -> None:
    try_all(TEXT[:start] + piece + TEXT[start + length :])


@given(JUNK)
def test_any_data_is_loaded_or_refused(junk: object) -> None:
    try_all(yaml.safe_dump(junk))
    try_all(yaml.safe_dump(varied(routes=junk)))
    try_all(yaml.safe_dump(varied(backends=junk)))
