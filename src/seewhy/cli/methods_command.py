"""The command `seewhy methods`. It imports its implementation when it is called, as those of `app` do."""

from seewhy.cli.options import JsonOption


def methods(as_json: JsonOption = False) -> None:
    """List the methods: what each shows, its cost, and the level of its heatmaps."""
    from seewhy.cli.methods import run

    run(as_json=as_json)
