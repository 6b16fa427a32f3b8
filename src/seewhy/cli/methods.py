"""`seewhy methods`."""

import json

import typer
from rich.console import Console

from seewhy.cli.tables import print_line, print_table
from seewhy.methods import AUTO, Method
from seewhy.methods.find import installed


def run(*, as_json: bool) -> None:
    """Print the methods, a table for each family."""
    methods = installed()
    if as_json:
        typer.echo(json.dumps({"methods": [_as_dict(method) for method in methods.values()]}, indent=2))
        return
    console = Console(highlight=False)
    print_line(console, f"auto, the default, takes {AUTO.summary}.")
    print_line(console, "")
    for family in dict.fromkeys(method.family for method in methods.values()):
        print_line(console, f"{family.capitalize()} methods", "bold")
        rows = [
            (method.name, method.summary, method.cost, method.level, method.paper)
            for method in methods.values()
            if method.family == family
        ]
        print_table(console, ("method", "what it shows", "cost", "level", "paper"), rows)
        print_line(console, "")
    options = [(method.name, method.options_text) for method in methods.values() if method.options]
    print_table(console, ("method", "options and their defaults, which --set NAME=VALUE changes"), options)
    print_line(console, "")
    print_line(
        console,
        "cost: what runs in addition to one forward pass; T: the number of targets, K: the number of channels of the "
        "layer, head: the part of the model after the layer. level: whether heatmaps have the resolution of the "
        "layer or of the model's input. paper: its arXiv number, or where it was published.",
    )


def _as_dict(method: Method) -> dict[str, object]:
    """Return a row; the values of options that JSON cannot hold are text."""
    names = ("name", "title", "family", "summary", "cost", "level", "paper")
    options = json.loads(json.dumps(dict(method.options), default=str))
    return {**{name: getattr(method, name) for name in names}, "options": options}
