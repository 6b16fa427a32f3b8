"""`seewhy serve`."""

from collections.abc import Sequence

from rich.console import Console

from seewhy.cli.sources import ModelRequest
from seewhy.cli.terminal import quiet_start
from seewhy.errors import MissingExtraError

PACKAGES = ("fastapi", "starlette", "uvicorn", "python_multipart")


def run(models: Sequence[ModelRequest], host: str, port: int, names: Sequence[str], limits: dict[str, float]) -> None:
    """Load the models, and serve them until the process is told to end.

    Args:
        models: What to serve; the first is the default.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        names: Under which names the server may be called, besides localhost and addresses.
        limits: The other fields of `seewhy.serve.settings.Settings`.

    Raises:
        SeewhyError: A model cannot be loaded or served, or the address is taken.
    """
    try:
        import python_multipart  # noqa: F401  # looked for by Starlette only when a first form comes

        from seewhy.serve.app import make_app
        from seewhy.serve.run import address_of, bind, serve
        from seewhy.serve.served_models import serve_models
        from seewhy.serve.settings import Settings
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise MissingExtraError(f"For the web page, {error.name}", "web") from error
    console = Console(stderr=True, highlight=False)
    settings = Settings(hosts=tuple(name.lower() for name in (host, *names)), **limits)  # type: ignore[arg-type]
    taken = bind(host, port)
    with taken:
        for each in models:
            console.print(f"Loading {each.source}", markup=False)
        with quiet_start():
            loaded = [(each.source, each.load()) for each in models]
            app = make_app(lambda progress: serve_models(loaded, progress), settings)
        address = address_of(taken)
        serve(app, taken, settings, lambda: console.print(f"SeeWhy is at {address}  (Ctrl+C ends it)", markup=False))
