"""A page with the tables of one result, between two markers.

    <!-- results: FILE -->
    …
    <!-- end of results -->

`PAGE.main()` is what `python -m MODULE [FILE] [--check]` does: FILE names the result the page
shows from now on; without it the one it names is drawn again; `--check` only says whether the
page is as drawn.

Rule: nothing between the markers is written by hand; a test compares.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.summary import Table

NONE = "none"
_BLOCK = re.compile(r"<!-- results: (?P<file>\S+) -->\n.*?<!-- end of results -->\n", re.DOTALL)


class Page(NamedTuple):
    """Where it is, and what stands between its markers."""

    path: Path
    results: Path  # the folder of the files it may name
    part: Callable[[Path], str]  # of one of them
    module: str  # which draws it

    def text(self) -> str:
        """As it is."""
        return self.path.read_text("utf-8")

    def drawn(self, file: str = "") -> str:
        """As it should be with a result; "" is the one that it names."""
        page = self.text()
        file = file or named_file(page)
        if file == NONE:
            return redrawn(page, NONE, "No run has been published yet.\n")
        return redrawn(page, file, self.part(self.results / file))

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The exit status."""
        parser = argparse.ArgumentParser(
            prog=self.module, description=f"Draws the tables of {self.path.name}."
        )
        parser.add_argument("file", nargs="?", type=Path, help=f"a result in {self.results.name}")
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail on a difference"
        )
        asked = parser.parse_args(arguments)
        wanted = self.drawn(asked.file.name if asked.file else "")
        if asked.check:
            return int(self.text() != wanted)
        self.path.write_text(wanted, "utf-8")
        return 0


def markdown(table: Table) -> str:
    """One table: names to the left, numbers to the right."""
    rules = ["---"] + ["---:"] * (len(table.header) - 1)
    rows = [table.header, tuple(rules), *table.rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return f"### {table.title}\n\n" + "\n".join(lines) + "\n"


def named_file(page: str) -> str:
    """The result a page names; raises ValueError when it has no markers."""
    found = _BLOCK.search(page)
    if not found:
        raise ValueError("the page has no `<!-- results: FILE -->` … `<!-- end of results -->`")
    return found["file"]


def redrawn(page: str, file: str, part: str) -> str:
    """The page with another part between its markers."""
    block = f"<!-- results: {file} -->\n\n{part}\n<!-- end of results -->\n"
    return _BLOCK.sub(lambda _: block, page, count=1)
