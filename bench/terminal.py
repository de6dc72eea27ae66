"""Tables and sentences in a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.summary import Table

WIDTH = 150  # where there is no terminal to ask


def make_console() -> Console:
    """As wide as the terminal; wide enough for the tables where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def say(console: Console, sentence: str) -> None:
    """One line, wrapped by nobody and free of markup."""
    console.print(escape(sentence), soft_wrap=True)


def drawn(table: Table) -> RichTable:
    """The first column to the left, the numbers to the right."""
    made = RichTable(title=table.title, title_justify="left", header_style="bold")
    for number, name in enumerate(table.header):
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        made.add_row(*row)
    return made
