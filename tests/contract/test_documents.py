"""What the documents say is true: marked blocks are run, configurations load, links lead somewhere.

A fenced block is tested when the line above it is an HTML comment (CONTRIBUTING.md):

    <!-- tested: shell -->              run by bash in the document's own folder; must exit with 0
    <!-- tested: configuration -->      a gateway.yaml; must load without a problem
    <!-- tested: file NAME -->          written to the document's folder, for shell blocks after it

The blocks of one document share a folder and are run in their order.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.config import parse

ROOT = Path(__file__).resolve().parents[2]
IGNORED = {".venv", "build", "node_modules", ".git"}
SHELL_SECONDS = 120  # on two busy cores; alone it takes a tenth of it

_BLOCK = re.compile(
    r"^<!-- tested: (?P<kind>\w+) ?(?P<name>[\w./-]*) -->\n```[^\n]*\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    kind: str
    name: str
    text: str


class AnyName(dict[str, str]):
    """An environment in which every variable is set, so that examples need no secrets."""

    def __missing__(self, key: str) -> str:
        return "placeholder"

    def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]
        return self[key]


def is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return not any(part in IGNORED or part.startswith(".venv") for part in parts)


def documents() -> list[Path]:
    return sorted(filter(is_ours, ROOT.rglob("*.md")))


def blocks(path: Path) -> list[Block]:
    return [Block(**match.groupdict()) for match in _BLOCK.finditer(path.read_text("utf-8"))]


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def provide_gateway(folder: Path, scripts: Path) -> Path:
    """Where `gateway` is: among the interpreter's own scripts, else one made here."""
    if (scripts / "gateway").exists():
        return scripts
    made = folder / "gateway"
    made.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
    made.chmod(0o755)
    return folder


def run(script: str, folder: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """The script in a session of its own, which ends with it: what it left running is stopped."""
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    with (folder / "stdout").open("w") as stdout:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(SHELL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.CompletedProcess([], code, (folder / "stdout").read_text(), "")


def marked() -> list[Path]:
    return [path for path in documents() if blocks(path)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", marked(), ids=where)
def test_marked_blocks_do_what_they_say(
    path: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = provide_gateway(tmp_path_factory.mktemp("programs"), Path(sys.executable).parent)
    for block in blocks(path):
        if block.kind == "configuration":
            parse(block.text, AnyName())
        elif block.kind == "file":
            target = tmp_path / block.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        elif block.kind == "shell":
            if "curl " in block.text and not shutil.which("curl"):
                pytest.skip("curl is not installed")
            done = run(block.text, tmp_path, programs)
            assert done.returncode == 0, f"{where(path)}:\n{block.text}\n{done.stdout}"
        else:
            pytest.fail(f"{where(path)}: `tested: {block.kind}` is not known.")


def test_gateway_is_found_where_no_script_of_it_is_installed(tmp_path: Path) -> None:
    programs = provide_gateway(tmp_path, tmp_path / "no-scripts")
    done = run("gateway version", tmp_path, programs)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("gateway ")


@pytest.mark.parametrize("path", documents(), ids=where)
def test_every_mark_stands_directly_above_a_block(path: Path) -> None:
    marks = len(re.findall(r"^<!-- tested:", path.read_text("utf-8"), re.MULTILINE))
    assert marks == len(blocks(path)), f"{where(path)} marks something that is no block."


@pytest.mark.parametrize("path", documents(), ids=where)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", path.read_text("utf-8"))):
        assert (path.parent / target).exists(), (
            f"{where(path)} links to {target}, which is not there."
        )


def examples() -> list[Path]:
    return sorted([*ROOT.glob("examples/**/*.yaml"), ROOT / "deploy" / "gateway.yaml"])


@pytest.mark.parametrize("path", examples(), ids=where)
def test_example_configuration_loads(path: Path) -> None:
    parse(path.read_text("utf-8"), AnyName())
