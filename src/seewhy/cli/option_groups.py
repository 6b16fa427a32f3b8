"""Options that commands share, in groups: a command that takes a group as a parameter has the options of its fields."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from seewhy.cli.options import (
    ArchitectureOption,
    BackendOption,
    ClassNamesOption,
    InputSizeOption,
    LayerOption,
    PreprocessingOption,
    PromptOption,
    ScoreName,
    ScoreOption,
    TokensOption,
    TrustOption,
    WeightsOption,
)
from seewhy.cli.run_options import BatchSizeOption, DeviceOption, LimitOption, RecursiveOption

if TYPE_CHECKING:
    from seewhy.cli.model_options import ModelArguments
    from seewhy.frameworks.tokens import TokenGrid


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is loaded, whatever says which one."""

    weights: WeightsOption = "imagenet"
    architecture: ArchitectureOption = None
    class_names: ClassNamesOption = None
    preprocessing: PreprocessingOption = None
    input_size: InputSizeOption = None
    backend: BackendOption = None
    device: DeviceOption = None
    prompt: PromptOption = None
    trust: TrustOption = False

    def arguments(self, source: str) -> "ModelArguments":
        """Return these options for a model, the value of `--model`."""
        from seewhy.cli.model_options import ModelArguments  # imported late: `--help` needs no NumPy

        given = dict(vars(self))
        return ModelArguments(source, prompts=given.pop("prompt"), **given)


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """What of the model is explained: the layer and the score."""

    layer: LayerOption = "auto"
    score: ScoreOption = ScoreName.logit
    tokens: TokensOption = None

    def grid(self) -> "TokenGrid | None":
        """Return the grid of tokens that was given; None where it is to be found.

        Raises:
            OptionError: The text is no grid.
        """
        from seewhy.cli.tokens_option import parse_tokens

        return parse_tokens(self.tokens)


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How many images are read from folders, and how many run at once."""

    recursive: RecursiveOption = True
    limit: LimitOption = None
    batch_size: BatchSizeOption = None


def with_options_of_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer, in which a parameter that is a group is replaced by the options of its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    if not groups:
        return command
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        own = parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += _options_of(groups[parameter.name]) if parameter.name in groups else [own]

    def expanded(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    expanded.__name__, expanded.__doc__, expanded.__module__ = command.__name__, command.__doc__, command.__module__
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
