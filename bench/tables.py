"""Draws the tables of README.md from a result's JSON, between two markers.

`python -m bench.tables FILE` names the result the page shows from now on; without FILE
the one it names is drawn again; `--check` only says whether the page is as drawn.

Rule: nothing between the markers is written by hand; a test compares.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import budgets, results
from bench.results import Report
from bench.sheets import tables
from bench.summary import Table

README = Path(__file__).with_name("README.md")
NONE = "none"
BLOCK = re.compile(r"<!-- results: (?P<file>\S+) -->\n.*?<!-- end of results -->\n", re.DOTALL)


def markdown(table: Table) -> str:
    """One table: names to the left, numbers to the right."""
    rules = ["---"] + ["---:"] * (len(table.header) - 1)
    rows = [table.header, tuple(rules), *table.rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return f"### {table.title}\n\n" + "\n".join(lines) + "\n"


def preamble(report: Report) -> str:
    """Where, when and how, one sentence a line."""
    where = report.machine
    versions = ", ".join(f"{name} ({text})" for name, text in report.versions.items())
    disk = f"state on {where.disk}, " if where.disk else ""
    changes = ", with changes not committed" if report.modified else ""
    lines = [
        f"Measured on {report.date[:10]} at commit `{report.commit}`{changes}"
        f" with `{report.command}`: medians of {report.rounds} rounds of {report.seconds} s.",
        f"Machine: {where.cores} cores of {where.cpu}, "
        f"{where.memory_bytes / 2**30:.0f} GiB, Linux {where.kernel}, {disk}"
        f"Python {where.python}, frequency governor: {where.governor}.",
        f"The host took {where.stolen_share:.1%} of the CPU time during the run.",
        f"Versions: {versions}.",
    ]
    lines += [f"Not measured: {sentence}." for sentence in report.skipped.values()]
    return "\n".join(lines) + "\n"


def page_part(report: Report) -> str:
    """All that stands between the markers."""
    drawn = [*tables(report), budgets.table(budgets.compare(report))]
    return "\n".join([preamble(report), *(markdown(table) for table in drawn)])


def named_file(page: str) -> str:
    """The result a page names; raises ValueError when it has no markers."""
    found = BLOCK.search(page)
    if not found:
        raise ValueError("the page has no `<!-- results: FILE -->` … `<!-- end of results -->`")
    return found["file"]


def redrawn(page: str, file: str, part: str) -> str:
    """The page with another part between its markers."""
    block = f"<!-- results: {file} -->\n\n{part}\n<!-- end of results -->\n"
    return BLOCK.sub(lambda _: block, page, count=1)


def page_for(page: str, file: str) -> str:
    """The page as it should be with a result of bench/results."""
    if file == NONE:
        return redrawn(page, NONE, "No run has been published yet.\n")
    return redrawn(page, file, page_part(results.load(results.FOLDER / file)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.tables", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a result in bench/results")
    parser.add_argument("--check", action="store_true", help="change nothing; fail on a difference")
    asked = parser.parse_args(arguments)
    page = README.read_text()
    wanted = page_for(page, asked.file.name if asked.file else named_file(page))
    if asked.check:
        return int(page != wanted)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
