"""Rules of the Cython sources, read as text."""

import re
from pathlib import Path

import pytest

FAST = Path(__file__).resolve().parents[2] / "gateway" / "_fast"
MODULES = sorted(FAST.glob("*.pyx"))
SOURCES = sorted([*MODULES, *FAST.glob("*.pxd")])

# Classes that exist to be derived from; every other one is final.
BASES = {
    "Timed",
    "Peer",
    "Waiter",
    "Borrower",
    "Caller",
    "Turn",
    "Errand",
    "Reply",
    "Dispatch",
    "Recovery",
    "Intake",
}

# What may raise into its caller, which catches: the timer wheel.
RAISING = {"on_deadline"}

SAFETY_LINES = 6  # a `Safety:` stands at most so many lines above what it is about

_CLASS = re.compile(r"^((?:@[^\n]*\n)*)cdef class (\w+)", re.MULTILINE)
_ALLOCATION = re.compile(r"\b(?:PyMem_(?:Raw)?)?(?:[Mm]alloc|[Cc]alloc|[Rr]ealloc)\(")
_FREE = re.compile(r"\b(?:PyMem_(?:Raw)?F|f)ree\(")
_OBJECT_CAST = re.compile(r"<(?:PyObject|void)\s*\*>\s*(?:self\b(?!\.)|\w+\s*(?:$|[,)]))")
_NUMBERS = r"u?int\d*_t|s?size_t|Py_ssize_t|int|long|char|void|bint|double|float"
_C_RESULTS = rf"(?:(?:const )?(?:unsigned )?(?:{_NUMBERS})|[\w ]+\*)"
_C_FUNCTION = re.compile(
    rf"^[ \t]*c(?:p?def)[ \t]+(?:inline[ \t]+)?{_C_RESULTS}[ \t*]+(\w+)[ \t]*\(", re.MULTILINE
)


def code(path: Path) -> str:
    """The text with strings, docstrings, comments and `cdef extern` blocks blanked, lines kept."""
    text = re.sub(
        r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*',
        lambda match: "\n" * match[0].count("\n"),
        path.read_text("utf-8"),
    )
    lines, is_extern = [], False
    for line in text.split("\n"):
        if is_extern and line.strip() and not line[0].isspace():
            is_extern = False
        is_extern = is_extern or line.startswith("cdef extern")
        lines.append("" if is_extern else line)
    return "\n".join(lines)


def blocks(text: str, opening: str) -> list[str]:
    """Each line that matches, with the deeper lines that follow it."""
    lines, found = text.split("\n"), []
    for number, line in enumerate(lines):
        if not re.match(opening, line):
            continue
        depth = len(line) - len(line.lstrip())
        body = [line]
        for next_line in lines[number + 1 :]:
            bare = next_line.lstrip()
            # Why the bracket: a signature over several lines closes at the depth it began.
            if bare and len(next_line) - len(bare) <= depth and not bare.startswith(")"):
                break
            body.append(next_line)
        found.append("\n".join(body))
    return found


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def signature(text: str, start: int) -> str:
    """From the name's bracket to the end of the declaration."""
    depth, at = 0, start
    while True:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            end = text.find("\n", at)
            return text[at : end if end != -1 else len(text)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_module_has_its_declarations(path: Path) -> None:
    assert path.with_suffix(".pxd").exists(), f"{path.name} has no .pxd: it is the design document."


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_is_included_or_decided_by_textual_constants(path: Path) -> None:
    found = re.findall(
        r"^[ \t]*(?:include[ \t]|IF[ \t]|ELIF[ \t]|DEF[ \t])", code(path), re.MULTILINE
    )
    assert not found, f"{path.name} uses {found[0].strip()}."


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_directives_stand_in_setup_alone(path: Path) -> None:
    found = re.findall(r"#\s*(?:cython|distutils)\s*:", path.read_text("utf-8"))
    found += re.findall(
        r"@cython\.(?:boundscheck|wraparound|cdivision|initializedcheck)", code(path)
    )
    assert not found, f"{path.name} sets {found[0]}; directives are setup.py's."


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_class_but_the_bases_is_final(path: Path) -> None:
    both = [path.with_suffix(end) for end in (".pxd", ".pyx")]
    declared = [m for each in both if each.exists() for m in _CLASS.finditer(code(each))]
    final = {match[2] for match in declared if "cython.final" in match[1]}
    for name in {match[2] for match in declared} - final - BASES:
        pytest.fail(f"{path.name}: {name} is neither @cython.final nor one of BASES.")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_memory_is_freed_where_it_is_allocated(path: Path) -> None:
    """By `__dealloc__` of the class that allocates it, or in the function that does."""
    text = code(path)
    for function in blocks(text, r"\s*(?:cp?def|def)\s[^=]*\("):
        if not _ALLOCATION.search(function) or _FREE.search(function):
            continue
        owner = [each for each in blocks(text, r"cdef class ") if function in each]
        dealloc = "".join(part for each in owner for part in blocks(each, r"\s+def __dealloc__"))
        assert _FREE.search(dealloc), (
            f"{path.name}: nobody frees {function.split(chr(10))[0].strip()}"
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_cast_from_object_to_pointer_says_why_it_is_safe(path: Path) -> None:
    lines = path.read_text("utf-8").split("\n")
    for number, line in enumerate(lines):
        if _OBJECT_CAST.search(line.partition("#")[0]):
            near = "\n".join(lines[max(0, number - SAFETY_LINES) : number + 1])
            assert "Safety:" in near, f"{path.name}:{number + 1}: this cast wants a `Safety:` line."


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_function_with_a_c_result_says_what_it_does_with_exceptions(path: Path) -> None:
    text = code(path)
    for match in _C_FUNCTION.finditer(text):
        ending = signature(text, match.end() - 1)
        assert match[1] in RAISING or re.search(r"\bnoexcept\b|\bexcept\b", ending), (
            f"{path.name}:{line_of(text, match.start())}: {match[1]} is neither noexcept nor "
            "has an error value."
        )
