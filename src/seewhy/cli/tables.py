"""Tables for the terminal."""

from rich.table import Table


def new_table(*headings: str) -> Table:
    """Return an empty table whose cells are wrapped if they are too long, and never truncated."""
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
