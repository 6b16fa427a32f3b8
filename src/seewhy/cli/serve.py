"""`seewhy serve`."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from seewhy.cli.model_options import ModelArguments
from seewhy.errors import MissingExtraError, OptionError
from seewhy.startup_log import quiet_start

PACKAGES = ("fastapi", "starlette", "uvicorn", "python_multipart")


def run(models: Sequence[ModelArguments], host: str, port: int, names: Sequence[str], limits: dict[str, float]) -> None:
    """Load the models, and serve them until the process is terminated.

    Args:
        models: The models to serve; the first is the default.
        host: The address to listen on.
        port: The port; 0 chooses a free one.
        names: The accepted host names, besides localhost and IP addresses.
        limits: The other fields of `seewhy.serve.settings.Settings`.

    Raises:
        SeewhyError: A model cannot be loaded or served, or the address is in use.
    """
    try:
        import python_multipart  # noqa: F401  # Starlette imports it only when it parses the first form

        from seewhy.serve.app import make_app
        from seewhy.serve.served_models import serve_models
        from seewhy.serve.server import bind_socket, serve, url_of
        from seewhy.serve.settings import Settings
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise MissingExtraError(f"For the web page, {error.name}", "web") from error
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = Settings(hosts=tuple(name.lower() for name in (host, *names)), **limits)  # type: ignore[arg-type]
    for model in models:
        model.check()
    server_socket = bind_socket(host, port)
    with server_socket:
        for model in models:
            console.print(f"Loading {model.source}", markup=False)
        with quiet_start():
            classifiers = [(model.source, model.load()) for model in models]
            app = make_app(lambda progress: serve_models(classifiers, progress), settings)
        message = f"SeeWhy is running at {url_of(server_socket)} (press Ctrl+C to stop)"
        serve(app, server_socket, settings, lambda: console.print(message, markup=False))


def run_batch(folder: Path, models: Sequence[str], host: str, port: int, names: Sequence[str]) -> None:
    """Show the output of 'seewhy batch' until the process is terminated.

    Args:
        folder: The output folder.
        models: What was given with --model: nothing, as no model is run.
        host: The address to listen on.
        port: The port; 0 chooses a free one.
        names: The accepted host names, besides localhost and IP addresses.

    Raises:
        SeewhyError: The folder holds no results, or the address is in use.
    """
    if models:
        raise OptionError("--batch shows results that are there already, and runs no model. Leave --model out.")
    try:
        from seewhy.serve.data_set_app import make_data_set_app
        from seewhy.serve.server import bind_socket, serve, url_of
        from seewhy.serve.settings import Settings
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise MissingExtraError(f"For the web page, {error.name}", "web") from error
    from seewhy import datasets

    output = datasets.open(folder)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = Settings(hosts=tuple(name.lower() for name in (host, *names)))
    with bind_socket(host, port) as server_socket:
        console.print(f"Reading {folder}", markup=False)
        app = make_data_set_app(output, settings)
        message = f"SeeWhy is running at {url_of(server_socket)} (press Ctrl+C to stop)"
        serve(app, server_socket, settings, lambda: console.print(message, markup=False))
