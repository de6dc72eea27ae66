"""`python -m bench.statistics.judges`: the campaign's second half, as Markdown.

Kayenta's judge, latency, looks and savings: what docs/statistics-judges.md prints.
"""

import argparse
import math
import sys
from collections.abc import Iterable

from bench.statistics import kayenta, latency, looks, savings
from bench.statistics.figure import Row

PARTS = {"kayenta": kayenta, "latency": latency, "looks": looks, "savings": savings}


def rows(runs: int, seed: int) -> list[Row]:
    """All figures."""
    return [row for part in PARTS.values() for row in part.rows(runs, seed)]


def tables(found: Iterable[Row]) -> str:
    """Markdown: a table for each title, a line for each case."""
    titles: dict[str, dict[str, dict[str, Row]]] = {}
    for row in found:
        titles.setdefault(row.table, {}).setdefault(row.case, {})[row.figure] = row
    return "\n".join(line for title, cases in titles.items() for line in _table(title, cases))


def _table(title: str, cases: dict[str, dict[str, Row]]) -> list[str]:
    figures = list(dict.fromkeys(figure for row in cases.values() for figure in row))
    lines = [
        f"**{title}**",
        "",
        "| | " + " | ".join(figures) + " |",
        "| --- |" + " --: |" * len(figures),
    ]
    for case, row in cases.items():
        cells = [_cell(row[figure]) if figure in row else "" for figure in figures]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(row: Row) -> str:
    if math.isnan(row.measured):
        return "–"
    text = f"{row.measured:,.0f}" if row.measured >= 5 else f"{row.measured:.3f}"
    return text if row.is_met else f"{text} (!)"


def main() -> int:
    """Prints the tables; fails where a figure is out of its range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wanted = [PARTS[asked.part]] if asked.part else PARTS.values()
    found = [row for part in wanted for row in part.rows(asked.runs, asked.seed)]
    print(tables(found))
    return int(any(not row.is_met and not math.isnan(row.measured) for row in found))


if __name__ == "__main__":
    sys.exit(main())
