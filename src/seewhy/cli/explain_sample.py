"""`seewhy explain --input`: one sample of a model with several inputs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from seewhy.cli.explain import ExplainArguments, make_explainers
from seewhy.cli.output_files import check_not_an_input, fitting_stem
from seewhy.cli.result_printer import ResultPrinter
from seewhy.cli.sample_option import InputValue, paths_of, read_arrays
from seewhy.errors import OptionError, OutputError
from seewhy.explainer import BATCH_SIZE
from seewhy.results.multi_image_explanation import SUFFIXES, MultiImageExplanation

Sample = dict[str, InputValue] | list[InputValue]


def run_sample(request: ExplainArguments, sample: Sample, *, as_json: bool, quiet: bool = False) -> None:
    """Explain the sample, write the files, and print the results.

    Raises:
        SeewhyError: The call is wrong, or the sample cannot be explained.
    """
    request.check()
    _check(request)
    values = read_arrays(sample)
    printer = ResultPrinter(1, is_silent=as_json or quiet)
    facts: list[dict[str, Any]] = []
    stem = "_".join(path.stem for path in paths_of(sample))
    explainers = make_explainers(request, progress=not quiet)
    has_several_models = len({explainer.classifier.name for explainer in explainers}) > 1
    for explainer in explainers:
        targets = request.targets_of(explainer.classifier)
        (explanation,) = explainer.explain([values], targets, batch_size=request.batch_size or BATCH_SIZE)
        model = (str(explanation.model),) if has_several_models else ()
        files = _write(explanation, request, fitting_stem(stem, *model, explanation.method), paths_of(sample))
        printer.print_sample(explanation, files)
        facts.append({**explanation.as_dict(), "files": files})
    if as_json:
        typer.echo(json.dumps({"explanations": facts, "errors": [], "skipped": []}, indent=2))


def _check(request: ExplainArguments) -> None:
    """Raise OptionError for an option that several images do not have."""
    given = {
        "--figure": request.figure not in (None, "grid", "overlay"),
        "--reduce-to": request.reduce_to is not None,
        "--together": request.together,
        "--label-by-folder": request.label_by_folder,
        "--check": request.check_heatmaps,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise OptionError(f"{' and '.join(wrong)} is for images of a model with one input; leave it out with --input.")
    for name in request.formats:
        if f".{name}" not in SUFFIXES:
            known = ", ".join(suffix[1:] for suffix in SUFFIXES)
            raise OptionError(f"Cannot write the format {name!r} with --input; known: {known}.")


def _write(
    explanation: MultiImageExplanation, request: ExplainArguments, stem: str, given: Sequence[Path]
) -> list[str]:
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot create the folder {request.out}: {error.strerror or error}.") from error
    paths = [
        check_not_an_input(request.out / f"{stem}.{name}", [str(path.resolve()) for path in given])
        for name in request.formats
    ]
    return [str(explanation.save(path, **request.style)) for path in paths]
