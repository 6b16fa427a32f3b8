"""The command `seewhy doctor`. It imports its implementation when it is called, as those of `app` do."""

from seewhy.cli.options import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Print the versions, frameworks, devices and threads that SeeWhy finds here.

    This is what a report of a bug asks for. The exit code is 1 if a framework is installed and cannot be imported.
    """
    from seewhy.cli.doctor import run

    run(as_json=as_json)
