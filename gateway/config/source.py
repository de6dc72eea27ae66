"""YAML text as a tree that remembers where each value stands.

`read` turns text into nodes, each with its path (`routes.chat.backends[1]`), its line
and the text as written, and replaces `${NAME}` inside scalars. It is stricter than
YAML: repeated keys, keys that are no text, several documents and documents of
unreasonable size or depth are problems. Anchors, aliases and `<<` work.

Rule 1: only plain data is built; no tag makes an object.
Rule 2: time and memory are bounded by the size of the text (aliases count as copies).
Rule 3: `plain` gives the file's data with `${NAME}` not replaced, so without secrets.

Knows nothing of the schema; `document` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import yaml
from msgspec import Struct

from gateway.config.problems import Problems

MAX_TEXT_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 40

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\})?", re.ASCII)
_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool"))

Scalar = str | int | float | bool | None


class Node(Struct, frozen=True):
    """A value of the file and where it stands."""

    value: object  # dict[str, Node], list[Node] or a scalar
    path: str
    line: int
    text: str = ""  # a scalar as written
    is_plain: bool = False  # a scalar without quotes
    expanded: str | None = None  # its text with `${NAME}` replaced, where there was any

    def children(self) -> Iterable[Node]:
        if isinstance(self.value, dict):
            return self.value.values()
        return self.value if isinstance(self.value, list) else ()

    @property
    def is_expanded(self) -> bool:
        return self.expanded is not None


def join(path: str, key: str) -> str:
    """`routes.chat`, or `routes["gpt-4.1"]` where the key would be ambiguous."""
    if not _BARE_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def read(text: str, environ: Mapping[str, str], problems: Problems, at: str = "") -> Node | None:
    """The tree of the text, which stands `at` a path; None when there is nothing to build on."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        problems.add(f"the file is larger than {MAX_TEXT_BYTES >> 10} KiB")
        return None
    try:
        _check_depth(text, problems)
        root = None if problems.found else yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        _add_syntax(error, text, problems)
        return None
    except (yaml.YAMLError, ValueError) as error:
        problems.add(f"not readable as YAML: {' '.join(str(error).split())[:200]}")
        return None
    if problems.found:
        return None
    if not isinstance(root, yaml.MappingNode):
        kind = "is empty" if root is None or root.value == "" else "is not a mapping"
        problems.add(f"the file {kind}; expected keys such as `backends` and `routes`")
        return None
    return _Tree(environ, problems).node(root, at)


def plain(node: Node) -> object:
    """The data as written, with `${NAME}` in place."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.text if node.is_expanded else node.value


def data(node: Node) -> object:
    """The data with `${NAME}` replaced."""
    if isinstance(node.value, dict):
        return {key: data(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [data(child) for child in node.value]
    return node.value


def _check_depth(text: str, problems: Problems) -> None:
    # Why: the composer is recursive in C, where no recursion limit stops it.
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > 2 * MAX_NODES:
            problems.add("the file is nested too deeply or too large")
            return


def _add_syntax(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        problems.add("a tab is used for indentation; YAML wants spaces", line=line)
        return
    if "single document" in str(error.context):
        problems.add("the file holds more than one YAML document (`---`)", line=line)
        return
    reason = " ".join(part for part in (error.context, error.problem) if part)
    problems.add(f"not valid YAML: {reason}", line=line)


class _Tree:
    """Builds nodes; holds what all of them need."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self._constructor = yaml.constructor.SafeConstructor()
        self._resolver = yaml.resolver.Resolver()
        self._left = MAX_NODES

    def node(self, raw: yaml.Node, path: str, depth: int = 0) -> Node:
        line = raw.start_mark.line + 1
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            self._problems.add("aliases make the file too large or too deep", line=line)
            return Node(None, path, line)
        if isinstance(raw, yaml.MappingNode):
            return Node(dict(self._members(raw, path, depth)), path, line)
        if isinstance(raw, yaml.ScalarNode):
            return self._scalar(raw, path, line)
        items = [self.node(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(raw.value)]
        return Node(items, path, line)

    def _members(self, raw: yaml.MappingNode, path: str, depth: int) -> Iterator[tuple[str, Node]]:
        own: set[str] = set()
        for key_node, value in raw.value:
            key = self._key(key_node, path)
            if key in own:
                line = key_node.start_mark.line + 1
                self._problems.add(f"`{key}` is given twice", join(path, key), line)
            elif key is not None:
                own.add(key)
                yield key, self.node(value, join(path, key), depth + 1)
        for key_node, value in raw.value:
            if key_node.tag == _MERGE:
                yield from self._merged(value, path, depth, own)

    def _merged(
        self, raw: yaml.Node, path: str, depth: int, own: set[str]
    ) -> Iterator[tuple[str, Node]]:
        sources = raw.value if isinstance(raw, yaml.SequenceNode) else [raw]
        for source in sources:
            if not isinstance(source, yaml.MappingNode) or depth > MAX_DEPTH:
                line = raw.start_mark.line + 1
                self._problems.add("`<<` takes a mapping, such as an alias of one", path, line)
                continue
            for key, node in self._members(source, path, depth + 1):
                if key not in own:
                    own.add(key)
                    yield key, node

    def _key(self, raw: yaml.Node, path: str) -> str | None:
        if raw.tag == _MERGE:
            return None
        if isinstance(raw, yaml.ScalarNode) and raw.tag == "tag:yaml.org,2002:str":
            return str(raw.value)
        line = raw.start_mark.line + 1
        if isinstance(raw, yaml.ScalarNode):
            kind = raw.tag.rpartition(":")[2]
            self._problems.add(
                f"YAML reads the key `{raw.value}` as {kind}, not as text;"
                f' write it in quotes: "{raw.value}"',
                path,
                line,
            )
        else:
            self._problems.add("a key must be text", path, line)
        return None

    def _scalar(self, raw: yaml.ScalarNode, path: str, line: int) -> Node:
        text = str(raw.value)
        is_plain = not raw.style
        if "${" not in text:
            return Node(self._value(raw, text, path, line), path, line, text, is_plain)
        expanded = self._expanded(text, path, line)
        tag = self._tag_of(expanded) if is_plain else ""
        if tag in _NUMBERS:
            raw = yaml.ScalarNode(tag, expanded, raw.start_mark, raw.end_mark)
            value = self._value(raw, text, path, line)
        else:
            value = expanded
        return Node(value, path, line, text, is_plain, expanded)

    def _tag_of(self, text: str) -> str:
        resolve: Callable[..., str] = self._resolver.resolve
        return resolve(yaml.ScalarNode, text, (True, False))

    def _value(self, raw: yaml.ScalarNode, text: str, path: str, line: int) -> Scalar:
        try:
            value: Scalar = self._constructor.construct_object(raw)
        except (yaml.YAMLError, ValueError, OverflowError, KeyError, IndexError):
            kind = raw.tag.rpartition(":")[2]
            self._problems.add(f"`{text[:60]}` is not a valid {kind}", path, line)
            return None
        return value

    def _expanded(self, text: str, path: str, line: int) -> str:
        def replacement(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name, has_default, default = match[1], match[2], match[3]
            if name is None:
                self._problems.add("`${` must read ${NAME} or ${NAME:-default}", path, line)
                return ""
            value = self._environ.get(name)
            if value is None and not has_default:
                self._problems.add(f"the environment variable `{name}` is not set", path, line)
            return str(default) if has_default and not value else (value or "")

        return _VARIABLE.sub(replacement, text)
