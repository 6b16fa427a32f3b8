"""`seewhy site`."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from seewhy import methods
from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments, check_targets
from seewhy.cli.options import split_list
from seewhy.explainer import Explainer
from seewhy.exporter.scope import ALL, check_method
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.reading import read
from seewhy.site.browser_runtime import check_runtime
from seewhy.site.site_folder import check_folder
from seewhy.site.write_site import write_site
from seewhy.startup_log import quiet_start
from seewhy.types import Score


def run(
    model: ModelArguments,
    folder: Path,
    targets: str | None,
    samples: Sequence[str] | None,
    method: str,
    layer: str,
    score: Score,
    tokens: TokenGrid | None,
    *,
    is_quiet: bool,
) -> None:
    """Write the site, and print how to look at it.

    Raises:
        SeewhyError: As for `write_site`; what can be checked without the model is checked before it is loaded.
    """
    check_runtime()
    check_folder(folder)
    chosen = methods.get(method)
    if not chosen.is_auto:
        check_method(chosen)
    for sample in samples or ():
        read(sample)
    spec = model.check()
    wanted = _targets(targets)
    if wanted not in (None, ALL):
        check_targets(wanted, spec)
    with quiet_start():
        classifier = model.load()
        explainer = Explainer(classifier, chosen, find_layer(classifier, layer), score, tokens=tokens)
        write_site(explainer, folder, targets=wanted, samples=samples)
    if is_quiet:
        return
    files = (path for path in folder.rglob("[!.]*") if path.is_file() and ".git" not in path.parts)
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"Wrote {folder}: {size / 1e6:.1f} MB. Put it on any static host. To look at it on this machine:")
    typer.echo(f"  python -m http.server --bind 127.0.0.1 --directory {shlex.quote(str(folder))}")
    typer.echo("and open http://localhost:8000/")


def _targets(text: str | None) -> str | list[str] | None:
    if text is None or text.strip().lower() == ALL:
        return None if text is None else ALL
    return split_list(text)
