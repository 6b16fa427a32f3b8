"""One request for an explanation: its fields are checked, then the worker runs it."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from seewhy import methods as all_methods
from seewhy.errors import LayerError, MethodError, OptionError, SeewhyError, TargetError
from seewhy.evaluate.check import CheckProgress, with_checks
from seewhy.explainer import Explainer
from seewhy.models.class_names import split_names
from seewhy.results.explanation import Explanation
from seewhy.serve.response_body import Failure, response_body
from seewhy.serve.schemas import ExplainFields, Format
from seewhy.serve.served_models import ServedModel, find_model
from seewhy.serve.settings import MAX_EXPLANATIONS, MAX_TARGETS
from seewhy.serve.worker import Job, ProgressEvent
from seewhy.types import ImageArray

BATCH_SIZE = 4
"""How many perturbations of an image run at once. A job can be stopped between two batches: on two cores, the 16 that
are usual take a large model half a minute."""


@dataclass(frozen=True)
class ExplainRequest:
    """A request whose model, methods, layers and targets are known to exist.

    Attributes:
        name: The name of the image.
        model: The model to explain.
        explainers: One for each method and layer.
        targets: The targets, as `seewhy.explain` takes them.
        format: The format of the response.
        check: Whether each heatmap is checked.
    """

    name: str
    model: ServedModel
    explainers: tuple[Explainer, ...]
    targets: list[str]
    format: Format
    check: bool = False

    @classmethod
    def parse(cls, name: str, fields: ExplainFields, models: Mapping[str, ServedModel]) -> "ExplainRequest":
        """Return the request that the fields of a form describe.

        Raises:
            UsageError: The fields name an unknown model, layer, method or class, or exceed a limit.
        """
        model = find_model(models, fields.model)
        targets = _parse_targets(fields.targets, model)
        methods = _parse_methods(fields.methods)
        layers = _parse_layers(fields.layers)
        _check_count(methods, layers)
        explainers = tuple(
            model.explainer(method, layer, fields.score, fields.signed)
            for method in methods
            for layer in (layers if all_methods.get(method).level == "layer" else layers[:1])
        )
        return cls(name, model, explainers, targets, fields.format, fields.check)

    def run(self, job: Job, image: ImageArray) -> bytes:
        """Explain the image, and return the response body; the worker's thread calls this.

        Raises:
            SeewhyError: No explanation is possible.
            JobStoppedError: The client disconnected, or the time limit was exceeded.
        """
        start = time.monotonic()
        explanations, failures = self._explain(job, image, start)
        job.report(ProgressEvent(len(self.explainers), len(self.explainers), "writing the response"))
        return response_body(explanations, failures, self.format, self.model.name, time.monotonic() - start)

    def _check_progress(self, job: Job, number: int) -> CheckProgress:
        def report(done: int, total: int) -> None:
            job.report(ProgressEvent(number, len(self.explainers), "checking the heatmaps", done, total))

        return report

    def _explain(self, job: Job, image: ImageArray, start: float) -> tuple[list[Explanation], list[Failure]]:
        """Return the explanations, and the failures of those that the model does not allow, if others are possible."""
        explanations, failures = [], []
        for number, explainer in enumerate(self.explainers, 1):
            job.report(ProgressEvent(number, len(self.explainers), explainer.method.title))
            try:
                (explanation,) = explainer.explain([image], self.targets, batch_size=BATCH_SIZE)
                if self.check:
                    explanation = with_checks(explainer, explanation, self._check_progress(job, number))
            except SeewhyError as error:
                failures.append(Failure(explainer.method, _layer_name(explainer), error))
            else:
                named = dataclasses.replace(explanation, source=self.name, model=self.model.name)
                explanations.append(named)
                if number < len(self.explainers):
                    seconds = time.monotonic() - start
                    job.add_partial_result(partial(response_body, [named], [], self.format, self.model.name, seconds))
        if failures and (not explanations or self.format == "png"):  # a PNG has no place for a message
            raise failures[0].error
        return explanations, failures


def _layer_name(explainer: Explainer) -> str:
    return "input" if explainer.method.level == "input" else str(explainer.layer_choices[0])


def _parse_targets(text: str, model: ServedModel) -> list[str]:
    names = model.classifier.class_names
    targets = list(dict.fromkeys(split_names(text, () if names is None else names)))
    if not targets:
        raise TargetError("targets is empty; expected such as top-3, or classes separated by commas.")
    resolved = model.classifier.resolve(list(targets))
    model.check_target(resolved)
    if resolved.target_count is not None and resolved.target_count > MAX_TARGETS:
        raise TargetError(f"{resolved.target_count} classes were requested; the limit is {MAX_TARGETS}. Request fewer.")
    return targets


def _parse_methods(text: str) -> list[str]:
    methods = _split(text)
    if not methods:
        raise MethodError(f"methods is {text!r}; expected names of methods, separated by commas.")
    return methods


def _parse_layers(text: str) -> list[str]:
    layers = _split(text)
    if not layers:
        raise LayerError(f"layers is {text!r}; expected 'auto', or paths of layers, separated by commas.")
    return layers


def _check_count(methods: Sequence[str], layers: Sequence[str]) -> None:
    count = len(methods) * len(layers)
    if count > MAX_EXPLANATIONS:
        raise OptionError(
            f"{len(methods)} methods at {len(layers)} layers are {count} explanations; the limit is "
            f"{MAX_EXPLANATIONS}. Request fewer."
        )


def _split(text: str) -> list[str]:
    """Return the parts of a comma-separated list, without duplicates."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
