"""The stubs of the compiled package, compared with the modules as they were built."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FAST = Path(__file__).resolve().parents[2] / "gateway" / "_fast"
STUBS = sorted(path for path in FAST.glob("*.pyi") if path.stem != "__init__")

Definition = ast.ClassDef | ast.FunctionDef
# What a compiled class has without being asked.
SILENT = {"__doc__", "__module__", "__new__", "__reduce_cython__", "__setstate_cython__"}
SILENT |= {"__pyx_vtable__", "__reduce__", "__setstate__", "__init__", "__dict__", "__weakref__"}
SILENT |= {"__getbuffer__", "__releasebuffer__", "__buffer__", "__release_buffer__", "__repr__"}
SILENT |= {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"}


def module_of(path: Path) -> ModuleType:
    return importlib.import_module(f"gateway._fast.{path.stem}")


def names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a stub's body defines; imports are not its own."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, Definition):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, ast.Assign):
            found |= {each.id: node for each in node.targets if isinstance(each, ast.Name)}
    return found


def is_public(name: str) -> bool:
    return not name.startswith("_")


def is_a_shape(node: ast.stmt) -> bool:
    """A class of the stub alone, which says what an argument must look like."""
    bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
    return any(base in {"Protocol", "TypedDict", "NamedTuple"} for base in bases)


def made_here(module: ModuleType, value: Any) -> bool:
    """Classes and functions of this module; constants and what it imports are left out."""
    if isinstance(value, type):
        return value.__module__ == module.__name__
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def parameters(value: Any) -> list[str] | None:
    try:
        return [name for name in inspect.signature(value).parameters if name != "self"]
    except (TypeError, ValueError):
        return None  # the compiled function keeps its signature to itself


def stub_parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args]
    if arguments.vararg:
        every.append(arguments.vararg)
    every += arguments.kwonlyargs
    if arguments.kwarg:
        every.append(arguments.kwarg)
    return [each.arg for each in every if each.arg != "self"]


def assert_same(place: str, stub: dict[str, ast.stmt], built: dict[str, Any]) -> None:
    for name, node in stub.items():
        if not is_public(name) or is_a_shape(node):
            continue
        assert name in built or name in SILENT, f"{place} has no {name}, but its stub does."
        if isinstance(node, ast.FunctionDef) and name in built and not node.decorator_list:
            found = parameters(built[name])
            assert found in (None, stub_parameters(node)), (
                f"{place}.{name} takes ({', '.join(found or [])}); its stub says otherwise."
            )


def behind_the_door() -> list[str]:
    """The modules whose names Python code uses."""
    tree = ast.parse((FAST / "__init__.py").read_text("utf-8"))
    found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return sorted(name.rpartition(".")[2] for name in found if name.startswith("gateway._fast."))


@pytest.mark.parametrize("name", behind_the_door())
def test_module_behind_the_door_has_a_stub(name: str) -> None:
    assert (FAST / f"{name}.pyi").exists(), f"gateway/_fast/{name}.pyi is missing."


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.name)
def test_stub_says_what_the_module_has(path: Path) -> None:
    module, stub = module_of(path), names(ast.parse(path.read_text("utf-8")).body)
    assert_same(path.stem, stub, vars(module))
    for name, value in vars(module).items():
        assert name in stub or not is_public(name) or not made_here(module, value), (
            f"{path.name} does not know {name}."
        )


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.name)
def test_stub_says_what_the_classes_have(path: Path) -> None:
    module = module_of(path)
    for name, node in names(ast.parse(path.read_text("utf-8")).body).items():
        if not isinstance(node, ast.ClassDef) or is_a_shape(node) or not is_public(name):
            continue
        built = {
            member: getattr(vars(module)[name], member)
            for member in vars(vars(module)[name])
            if member not in SILENT
        }
        inherited = dict.fromkeys(dir(vars(module)[name]))
        stub = names(node.body)
        assert_same(f"{path.stem}.{name}", stub, inherited | built)
        for member in built:
            assert member in stub or member.startswith("__"), f"{path.name}: {name} lacks {member}."


def test_door_names_only_what_the_modules_have() -> None:
    door = importlib.import_module("gateway._fast")
    for name in getattr(door, "__all__", ()):
        assert hasattr(door, name), f"gateway._fast.__all__ names {name}, which is not there."
