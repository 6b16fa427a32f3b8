"""The steps of Grad-CAM at one layer: activations, gradients, and channel weights."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.images.colour import colorize
from seewhy.images.figure import IMAGE_SUFFIXES, Bars, Panel, check_matplotlib, draw_panels, figure_writer
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import write_atomically
from seewhy.representation import description, listed, shortened
from seewhy.results.explanation import Explanation
from seewhy.results.figures import caption, overlay_panel
from seewhy.results.notebook_image import IMAGE_SIDE, figure_jpeg
from seewhy.results.target_result import TargetRef
from seewhy.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
SIGNED_COLORMAP = "RdBu_r"
"""White for 0, red for evidence for the target, blue for evidence against it."""


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """The steps of Grad-CAM for one image and T targets, at a layer of K channels.

    Attributes:
        activations: float32 (u, v, K), the layer's output A^k.
        gradients: float32 (T, u, v, K), dy^c/dA^k.
        explanation: The resulting explanation, with its `heatmaps`, `targets`, `layer` and `overlay`.
    """

    activations: FloatArray
    gradients: FloatArray
    explanation: Explanation

    def __repr__(self) -> str:
        targets = listed([caption(target) for target in self.explanation.targets])
        layer = shortened(self.explanation.layer)
        return description(self, f"of {layer}: activations {self.activations.shape}; targets: {targets}")

    @property
    def weights(self) -> FloatArray:
        """float32 (T, K): the channel weights alpha_k^c, the pooled gradients (equation 1 of the Grad-CAM paper)."""
        return np.asarray(self.gradients.mean(axis=(1, 2)))

    def weighted(self, target: TargetRef = 0) -> FloatArray:
        """Return every channel times its weight, float32 (u, v, K); the sum over channels is the raw heatmap.

        With the option `channels="mean"`, the raw heatmap is their mean.
        """
        return np.asarray(self.activations * self.weights[self.explanation.find_target(target)])

    def strongest(self, count: int = 9, target: TargetRef = 0) -> list[int]:
        """Return the channels with the largest mean contribution to a target's heatmap, the largest first.

        Raises:
            OptionError: `count` is not a positive integer, or there is no such target.
        """
        if not _is_whole(count) or count < 1:
            raise OptionError(f"count is {count!r}; expected a whole number, 1 or more.")
        strength = self.weighted(target).mean(axis=(0, 1))
        return [int(channel) for channel in np.argsort(-strength, kind="stable")[:count]]

    def figure(
        self, channels: str | Sequence[int] = "top-9", *, target: TargetRef = 0, **style: Unpack[StyleOptions]
    ) -> "Figure":
        """Draw the image, the channel weights as bars, and channels before and after weighting.

        The activations of a channel are divided by their maximum. Weighted channels share one scale: red is evidence
        for the target, blue is evidence against it.

        Args:
            channels: The indices of channels; or "top-9", the nine that contribute most to the target's heatmap.
            target: The position of one of the explanation's `targets`, or its name.
            **style: As for `Explanation.overlay`.

        Raises:
            MissingExtraError: matplotlib is not installed.
            OptionError: There is no such channel or target, or an argument is out of range.
        """
        check_matplotlib()
        position = self.explanation.find_target(target)
        shown = self.channels(channels, position)
        drawn, title = Style(**style), caption(self.explanation.targets[position])
        weights = self.weights[position]
        panels = [
            Panel("Original", self.explanation.image),
            overlay_panel(self.explanation, position, drawn, "All channels, weighted and summed"),
            Panel(f"Weights of all {len(weights)} channels", Bars(weights.tolist(), highlighted=shown)),
            Panel(
                "Weights of those below",
                Bars([float(weights[each]) for each in shown], [str(each) for each in shown], range(len(shown))),
            ),
            *self._channel_panels(shown, position),
        ]
        return draw_panels(panels, columns=COLUMNS, colormap=drawn.colormap, title=f"{title}, {self.explanation.layer}")

    def save(
        self,
        path: str | os.PathLike[str],
        channels: str | Sequence[int] = "top-9",
        *,
        target: TargetRef = 0,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the figure (`.png`, `.jpg`, `.svg`, `.pdf`) or the arrays (`.npz`), whole or not at all.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is unknown, or as for `figure`.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            writer = figure_writer(self.figure(channels, target=target, **style), suffix)
        elif suffix == ".npz":
            writer = partial(np.savez_compressed, **self._arrays())
        else:
            known = ", ".join((*IMAGE_SUFFIXES, ".npz"))
            raise OptionError(f"Cannot save as {suffix or 'a file without suffix'!r}; expected {known}.")
        write_atomically(path, writer, durable=suffix == ".npz")
        return path

    def channels(self, wanted: str | Sequence[int], target: TargetRef = 0) -> list[int]:
        """Return the indices of channels given as numbers, or as "top-9".

        Raises:
            OptionError: There is no such channel or target.
        """
        count = self.activations.shape[-1]
        top = re.fullmatch(r"top-([1-9][0-9]{0,8})", wanted.strip()) if isinstance(wanted, str) else None
        if top:
            return self.strongest(int(top[1]), target)
        found = _whole_numbers(wanted)
        if not found or not all(0 <= number < count for number in found):
            raise OptionError(
                f"There are no channels {short_repr(wanted)}: {self.explanation.layer} has channels 0 to {count - 1}. "
                "Give some of them, such as 10,42, or the strongest, top-9."
            )
        self.explanation.find_target(target)
        return list(dict.fromkeys(found))  # a duplicate gets no second pair of panels

    def _channel_panels(self, shown: Sequence[int], target: int) -> list[Panel]:
        weighted = self.weighted(target)[..., shown]
        largest = np.float32(np.abs(weighted).max() or 1)
        panels = []
        for position, channel in enumerate(shown):
            activation = self.activations[..., channel]
            highest = float(activation.max())
            before = np.asarray(np.maximum(activation, 0) / (highest if highest > 0 else 1), np.float32)
            after = colorize(np.asarray((weighted[..., position] / largest + 1) / 2, np.float32), SIGNED_COLORMAP)
            panels += [
                Panel(f"Channel {channel}: up to {highest:.3g}", before),
                Panel(f"times its weight, {self.weights[target, channel]:.3g}", after),
            ]
        return panels

    def _arrays(self) -> dict[str, Any]:
        targets = self.explanation.targets
        return {
            "activations": self.activations,
            "gradients": self.gradients,
            "weights": self.weights,
            "heatmaps": self.explanation.heatmaps,
            "indices": np.array([each.index for each in targets]),
            "names": np.array([each.name for each in targets]),
        }

    def _repr_jpeg_(self) -> bytes:
        small = replace(self, explanation=self.explanation.thumbnail(IMAGE_SIDE, len(self.gradients)))
        return figure_jpeg(small.figure("top-4"))


def _whole_numbers(wanted: Any) -> list[int]:
    """Return the integers of a comma-separated text or of a sequence; none if any part is not an integer."""
    try:
        each = [int(part) for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    except (TypeError, ValueError):
        return []
    return [int(number) for number in each] if all(map(_is_whole, each)) else []


def _is_whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)
