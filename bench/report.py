"""The report in a terminal."""

from rich.console import Console

from bench.budgets import Verdict
from bench.budgets import table as budget_table
from bench.results import Report
from bench.sheets import tables
from bench.terminal import drawn, say


def show(console: Console, report: Report, verdicts: list[Verdict]) -> None:
    """Every table, then the budgets, then what was left out."""
    where = report.machine
    say(
        console,
        f"{where.cores} cores of {where.cpu}, Linux {where.kernel}, Python {where.python}, "
        f"commit {report.commit}{' (modified)' if report.modified else ''}; "
        f"medians of {report.rounds} rounds of {report.seconds} s, "
        f"{where.stolen_share:.1%} of the CPU time taken by the host",
    )
    for table in [*tables(report), budget_table(verdicts)]:
        console.print(drawn(table))
    for sentence in report.skipped.values():
        say(console, f"not measured: {sentence}")
