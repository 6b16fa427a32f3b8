"""`seewhy methods`."""

from rich.console import Console

from seewhy.cli.tables import new_table
from seewhy.methods import METHODS


def run() -> None:
    """Print a table of methods for each family."""
    console = Console()
    for family in dict.fromkeys(method.family for method in METHODS.values()):
        table = new_table("method", "what it shows", "cost", "level", "paper")
        table.title, table.title_justify = f"{family.capitalize()} methods", "left"
        table.columns[0].no_wrap = True
        for method in METHODS.values():
            if method.family == family:
                table.add_row(method.name, method.summary, method.cost, method.level, method.paper)
        console.print(table)
    console.print(
        "cost: what runs in addition to one forward pass; T: the number of targets, K: the number of channels of the "
        "layer, head: the part of the model after the layer. level: whether heatmaps have the resolution of the "
        "layer or of the model's input. paper: its arXiv number, or where it was published.",
        markup=False,
    )
