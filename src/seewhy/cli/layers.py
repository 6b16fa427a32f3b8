"""`seewhy layers`."""

import copy
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import typer
from rich.console import Console

from seewhy.attribution.auto_layer import Trial
from seewhy.attribution.layer_evidence import LayerEvidence
from seewhy.attribution.layer_warnings import faults
from seewhy.attribution.pixel_classes import scores_pixels
from seewhy.cli.error_messages import command_line_message
from seewhy.cli.layer_option import layer_calls, sample_inputs
from seewhy.cli.model_options import ModelArguments
from seewhy.cli.sample_option import InputValue, read_arrays
from seewhy.cli.tables import print_line, print_table
from seewhy.errors import InputError, ModelRunError, SeewhyError, SeewhyWarning
from seewhy.explainer import Explainer
from seewhy.frameworks import LayerCall
from seewhy.frameworks.one_input import image_leaves
from seewhy.frameworks.structures import InputBatch
from seewhy.models import Classifier
from seewhy.startup_log import quiet_start

Sample = dict[str, InputValue] | list[InputValue]

LAYER_RULE = (
    "the last layer in call order that has spatial output (more than 1 x 1), is not a pooling layer, {own}and passes "
    "the tests that --check shows; or, if none passes, the one that is bypassed least."
)

PIXEL_RULE = "the coarsest layer that all of the score passes, which is the sum at the pixels predicted as a class."
"""How the layer of a segmentation model is chosen: see `attribution.pixel_classes.pixel_layer`."""


def run(model: ModelArguments, sample: Sample, *, check: bool, as_json: bool) -> None:
    """Print the layers of a model that have spatial output, in call order, and mark the one that "auto" selects.

    Args:
        model: Loads it.
        sample: The values of its inputs; empty for noise.
        check: Also print the evidence about each layer.
        as_json: Print JSON.
    """
    with quiet_start():
        classifier = model.load()
        inputs = _inputs(classifier, read_arrays(sample))
        calls = layer_calls(classifier, inputs)
        selected, refusal = _auto_layers(classifier, inputs)
        trials = dict(Explainer(classifier).judge_layers(inputs)) if check else {}
        checked = classifier.framework.check_inputs(inputs)
        is_segmenter = any(selected.values()) and scores_pixels(classifier.framework, checked, None)
    spatial = [call for call in calls if call.has_space]
    counts = Counter(call.path for call in spatial)
    auto = {name: _position(spatial, layer) for name, layer in selected.items()}
    if as_json:
        named = {
            name: None if position is None else _name(spatial[position], counts) for name, position in auto.items()
        }
        content = {
            "model": classifier.name,
            "auto": named.get("", named),
            "default": classifier.layer,
            "layers": [_as_dict(call) | _judged(trials.get(_plain(call))) for call in spatial],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    console = Console(highlight=False)
    headings, rows = _table(spatial, counts, auto, trials)
    print_table(console, headings, rows, marked=next(iter(auto.values()), None) if len(auto) == 1 else None)
    for name, position in auto.items():
        for_input = f" for {name}" if name else ""
        if position is None:
            print_line(console, f"auto selects no layer{for_input}: {refusal[name]}")
        else:
            own = "is computed from that image alone, " if name else ""
            rule = PIXEL_RULE if is_segmenter else LAYER_RULE.format(own=own)
            print_line(console, f"auto selects {_name(spatial[position], counts)}{for_input}: {rule}")
    print_line(console, f"{len(calls) - len(spatial)} other layer calls have no spatial output and are not listed.")
    if classifier.layer is not None:
        print_line(console, f"This model has a default layer, which is explained instead: {classifier.layer}.")


def _position(calls: Sequence[LayerCall], layer: str | None) -> int | None:
    """Return the position of the last call that a layer's name may mean."""
    return max((position for position, call in enumerate(calls) if layer in (call.path, call.name)), default=None)


def _inputs(classifier: Classifier, sample: Any) -> InputBatch:
    """Return what the model runs on.

    Raises:
        InputError, ModelRunError: It cannot; for a model with several inputs, the message says how to give them.
    """
    try:
        inputs = sample_inputs(classifier, sample)
        classifier.framework.calls(inputs)
    except (InputError, ModelRunError) as error:
        if sample or classifier.framework.input_count() == 1:
            raise
        options = " ".join(f"--input {name}=VALUE" for name in classifier.framework.declared_inputs())
        raise InputError(
            f"The layers cannot be listed without values for the inputs, {options}. On noise: {error}"
        ) from error
    return inputs


def _plain(call: LayerCall) -> LayerCall:
    """Return a call as a framework returns it, without the inputs that it is computed from."""
    return replace(call, inputs=())


def _table(
    calls: Sequence[LayerCall],
    counts: Mapping[str, int],
    auto: Mapping[str, int | None],
    trials: Mapping[LayerCall, Trial],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headings and the rows of the table, with the evidence about each layer if there is any."""
    is_shared = len(counts) < len(calls)  # then it matters which call is which
    has_inputs = any(call.inputs for call in calls)
    rows = [
        (
            _name(call, counts),
            call.kind,
            _shape(call),
            *([", ".join(call.given)] if is_shared else []),
            *([", ".join(call.inputs)] if has_inputs else []),
            *(_evidence(trials[_plain(call)]) if trials else []),
            _auto_mark(auto, position) or _reason_not_auto(call),
        )
        for position, call in enumerate(calls)
    ]
    columns = (
        *(["given"] if is_shared else []),
        *(["computed from"] if has_inputs else []),
        *(["positions", "bypass", "axes"] if trials else []),
    )
    return ("layer", "type", "output shape", *columns, ""), rows


def _auto_mark(auto: Mapping[str, int | None], position: int) -> str:
    names = [name for name, selected in auto.items() if selected == position]
    return "<- auto" + "".join(f" {name}" for name in names if name) if names else ""


def _auto_layers(classifier: Classifier, inputs: InputBatch) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return the layer that "auto" explains, by the name of the input, which is empty for a model with one input.

    Where it refuses the model, the layer is None; also return why it does.
    """
    classifier = copy.copy(classifier)
    classifier.layer = None
    names = classifier.framework.input_names(inputs)
    selected, refusals = dict[str, str | None](), dict[str, str]()
    if classifier.framework.detector(classifier.framework.check_inputs(inputs)) is not None:
        return {"": None}, {"": "the model is a detector, and each detection has a layer of its own."}
    for name in [None] if len(names) == 1 else [names[leaf] for leaf in image_leaves(inputs)]:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".* is unreliable for a model", SeewhyWarning)  # the layer is used
                selected[name or ""] = Explainer(classifier, "gradcam").heatmaps(inputs, input_name=name).layer
        except SeewhyError as error:
            selected[name or ""], refusals[name or ""] = None, command_line_message(error)
    return selected, refusals


def _name(call: LayerCall, counts: Mapping[str, int]) -> str:
    """Return a call's path, with its number for a layer that is called several times."""
    return call.name if counts[call.path] > 1 else call.path


def _as_dict(call: LayerCall) -> dict[str, object]:
    return {
        "path": call.path,
        "call": call.number,
        "type": call.kind,
        "output_shape": None if call.shape is None else list(call.shape),
        "is_candidate": call.is_candidate,
        **({"inputs": list(call.inputs)} if call.inputs else {}),
    }


def _judged(trial: Trial | None) -> dict[str, object]:
    """Return the evidence about a layer for JSON; nothing if layers are not judged."""
    if trial is None:
        return {}
    evidence = trial.evidence or LayerEvidence()
    return {
        "positions": None if evidence.reach is None else round(evidence.reach.share, 4),
        "bypass": None if evidence.bypass is None else round(evidence.bypass, 4),
        "axes": None if evidence.axes is None else round(evidence.axes.agreement, 4),
        "faults": [trial.obstacle] if trial.obstacle else faults(evidence, str(trial.layer)),
    }


def _evidence(trial: Trial) -> tuple[str, str, str]:
    """Return the share of positions that reach the score, the share of it that bypasses a layer, and its axes."""
    if trial.evidence is None:
        return "-", "-", "-"
    reach, bypass, axes = trial.evidence.reach, trial.evidence.bypass, trial.evidence.axes
    return (
        "-" if reach is None else f"{reach.share:.0%}",
        "-" if bypass is None else f"{bypass:.2f}",
        "-" if axes is None else "ok" if not axes.fault else "no",
    )


def _shape(call: LayerCall) -> str:
    return " x ".join("any" if size is None else str(size) for size in call.shape or ())


def _reason_not_auto(call: LayerCall) -> str:
    if call.is_pooling:
        return "pooling"
    return "returns the output of another layer" if call.is_pass_through else ""
