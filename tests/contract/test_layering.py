"""Who may import whom: one table, read against every source.

To allow an import, change the table; to add a module, give it a line (or a storey).
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What everything may import: these import only what stands left of them, and nothing else.
GROUND = ("errors", "config", "telemetry", "messages", "plan", "edges")
GROUND_EXCEPTIONS = {
    "config": {"errors"},
    "telemetry": {"errors", "config"},
    "messages": {"errors"},
    "plan": {"errors", "config"},
    "edges": set(),
}

# Each package or module of the gateway, and what it may import beside the ground.
MAY_IMPORT: dict[str, set[str]] = {
    "_fast": set(),
    "threads": set(),
    "loading": set(),  # modules
    "variants": set(),
    "mirrors": {"variants"},
    "compiler": {"variants", "flags", "switches", "mirrors", "holds"},
    "bucketing": {"_fast"},
    "targeting": {"bucketing"},
    "flags": {"bucketing", "targeting", "variants"},
    "switches": set(),
    "holds": set(),  # what open alerts change on routes
    "summary": set(),
    "comparison": set(),
    "state": set(),
    "chain": set(),  # of hashes
    "alerts": {"chain", "holds", "notices", "state", "threads"},  # what comes after a finding
    "protocols": {"_fast"},
    "link": set(),
    "supervisor": set(),
    "sockets": set(),
    "certificates": set(),
    "offers": {"compiler"},
    "deltas": set(),  # between two deliveries
    "reload": {
        "compiler",
        "state",
        "offers",
        "control",
        "deltas",
    },  # control.parts is what it offers
    "govern": {"_fast"},
    "log": {"_fast", "threads"},  # the prediction log's files
    "payloads": {"_fast"},  # redaction and encryption
    "feedback": set(),
    "store": {"log", "payloads"},  # the local store: Parquet, searched with DuckDB
    "brokers": set(),  # of Kafka
    "shipper": {"_fast", "brokers", "log", "store", "threads"},  # from the log to the sinks
    "explanation": {"log", "store", "compiler", "state"},  # of one record, in words; decided again
    "registry": {"threads", "calls"},  # where model versions come from
    "production": {"holds", "state", "registry", "store", "compiler"},  # what runs, and ran
    "contracts": set(),  # one body: what is wrong with it
    "profiles": {"_fast"},  # what is counted of one field in one slice of time
    "drift": {"_fast", "profiles", "statistics"},
    # the log counted into profiles, and looked at
    "watch": {
        "brokers",
        "_fast",
        "alerts",
        "calls",
        "drift",
        "log",
        "profiles",
        "shipper",
        "statistics",
        "store",
        "threads",
    },
    "calls": set(),  # to other servers, bounded
    "notices": {"calls", "threads"},  # what rollouts do, told elsewhere
    "statistics": set(),  # numbers in, numbers out
    "rollout": {"chain", "log", "notices", "state", "statistics"},  # no compiler needed
    "control": {
        "alerts",
        "contracts",
        "switches",
        "rollout",
        "drift",
        "log",
        "govern",
        "state",
        "store",
        "explanation",
        "production",
        "feedback",
        "notices",
        "threads",
        "watch",
    },
    "dataplane": {
        "comparison",
        "bucketing",
        "targeting",
        "flags",
        "_fast",
        "protocols",
        "govern",
        "threads",
        "log",
        "payloads",
        "feedback",
        "contracts",
    },
    "run": {
        "alerts",
        "brokers",
        "calls",
        "feedback",
        "flags",
        "holds",
        "_fast",
        "certificates",
        "compiler",
        "control",
        "dataplane",
        "drift",
        "explanation",
        "govern",
        "link",
        "log",
        "notices",
        "offers",
        "payloads",
        "production",
        "protocols",
        "registry",
        "reload",
        "rollout",
        "shipper",
        "sockets",
        "state",
        "store",
        "supervisor",
        "threads",
        "watch",
    },
    "demo": {"run", "explanation", "drift", "profiles", "watch"},
    "cli": {
        "loading",
        "drift",
        "profiles",
        "run",
        "compiler",
        "summary",
        "state",
        "demo",
        "log",
        "store",
        "explanation",
        "production",
        "payloads",
        "shipper",
        "feedback",
        "registry",
        "rollout",
        "contracts",
        "watch",
    },
    "__main__": {"cli", "loading", "run"},
}

# Inside the compiled package: a module imports from the storeys below its own, never beside it.
STOREYS: tuple[set[str], ...] = (
    {"blocks", "debug", "digits", "outcome", "texts"},
    {
        "budget",
        "checksum",
        "hashing",
        "heap",
        "histogram",
        "scan",
        "shifts",
        "timers",
        "twin",
        "unpack",
    },
    {"bins", "board", "clock", "decimals", "head", "members", "peer", "queue", "segment"},
    {
        "breaker",
        "cells",
        "chunked",
        "kafka",
        "line",
        "pointer",
        "pool",
        "scratch",
        "shape",
        "skeleton",
        "splice",
        "tally",
    },
    {"learned", "marks", "rows"},
    {"columns", "events", "limit", "operation"},
    {"policies", "request"},
    {"routes", "unit"},
    {"backend", "decision", "layers"},
    {"mirror"},
    {"table"},
    {"worker"},
    {"attempt"},
    {"errand", "upstream"},
    {"shadow"},
    {"reply"},
    {"dispatch"},
    {"recovery"},
    {"intake", "record"},
    {"exchange"},
    {"downstream"},
    {"__init__"},  # the door
)
# What compiled modules may import from outside: C, Cython and the standard library.
OUTSIDE = {"cython", "libc", "posix", "cpython", *sys.stdlib_module_names}

_CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import\b|c?import[ \t]+([\w., \t]+))", re.MULTILINE
)


def sources(*endings: str) -> list[Path]:
    return sorted(path for end in endings for path in (ROOT / "gateway").rglob(f"*{end}"))


def python_imports(path: Path) -> Iterator[str]:
    """Dotted names; what is imported *from* `gateway` itself counts as a module of it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
            elif node.module == "gateway":
                yield from (f"gateway.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def cython_imports(path: Path) -> Iterator[str]:
    text = re.sub(r'("""|\'\'\')(.*?)\1', "", path.read_text("utf-8"), flags=re.DOTALL)
    for match in _CYTHON_IMPORT.finditer(text):
        if match[1]:
            yield match[1]
        else:
            yield from (name.split()[0] for name in match[2].split(",") if name.strip())


def imports(path: Path) -> Iterator[str]:
    return cython_imports(path) if path.suffix in {".pyx", ".pxd"} else python_imports(path)


def unit(path: Path) -> str:
    """The package or module under gateway/ that a file belongs to; "" is gateway itself."""
    first = path.relative_to(ROOT / "gateway").parts[0]
    name = first.partition(".")[0]
    return "" if name == "__init__" else name


def is_a_module(name: str) -> bool:
    return (ROOT / "gateway" / name).is_dir() or (ROOT / "gateway" / f"{name}.py").is_file()


def allowed(name: str) -> set[str]:
    if name in GROUND_EXCEPTIONS or name in GROUND:
        return GROUND_EXCEPTIONS.get(name, set())
    ground = set() if name in {"_fast", ""} else set(GROUND)
    return ground | MAY_IMPORT.get(name, set())


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(".py", ".pyi", ".pyx", ".pxd"), ids=where)
def test_module_imports_only_what_the_table_allows(path: Path) -> None:
    own = unit(path)
    assert own in MAY_IMPORT or own in GROUND or not own, f"{own} has no line in MAY_IMPORT."
    for name in imports(path):
        assert not name.startswith("."), f"{where(path)} imports {name}; imports are absolute."
        package, *rest = name.split(".")
        assert package not in {"tests", "bench"}, f"{where(path)} imports {name}, which is no part."
        if package != "gateway" or not rest or not is_a_module(rest[0]) or rest[0] == own:
            continue
        assert rest[0] in allowed(own), f"{where(path)} may not import {name}; see MAY_IMPORT."


def outside_of_fast() -> list[Path]:
    return [path for path in sources(".py") if unit(path) != "_fast"]


@pytest.mark.parametrize("path", outside_of_fast(), ids=where)
def test_compiled_package_is_entered_by_its_door(path: Path) -> None:
    for name in imports(path):
        assert not name.startswith("gateway._fast."), (
            f"{where(path)} imports {name}; Python code imports gateway._fast."
        )


def storey(name: str) -> int:
    found = [number for number, names in enumerate(STOREYS) if name in names]
    assert found, f"gateway._fast.{name} has no storey in STOREYS."
    return found[0]


@pytest.mark.parametrize(
    "path", [p for p in sources(".pyx", ".pxd") if unit(p) == "_fast"], ids=where
)
def test_compiled_module_imports_from_storeys_below_only(path: Path) -> None:
    for name in imports(path):
        package, *rest = name.split(".")
        if package != "gateway":
            assert package in OUTSIDE, (
                f"{where(path)} imports {name}; _fast is a leaf, see OUTSIDE."
            )
            continue
        assert rest[:1] == ["_fast"], f"{where(path)} imports {name}; _fast is a leaf."
        assert len(rest) == 2, f"{where(path)} imports {name}; it imports modules of _fast by name."
        assert rest[1] == path.stem or storey(rest[1]) < storey(path.stem), (
            f"{where(path)} imports {name}, which is not below it; see STOREYS."
        )


def test_no_module_is_on_two_storeys() -> None:
    names = [name for names in STOREYS for name in names]
    assert len(names) == len(set(names))


def test_table_itself_has_no_cycle() -> None:
    """Packages can be put in an order in which each imports only earlier ones."""
    left = {name: allowed(name) - {name} for name in {*MAY_IMPORT, *GROUND}}
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        assert free, f"these import each other: {', '.join(sorted(left))}"
        for name in free:
            del left[name]
