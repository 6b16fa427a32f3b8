"""The viewer in a notebook: as a widget, and as the HTML representation of an explanation."""

import functools
import html
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from seewhy.errors import MissingExtraError
from seewhy.images.geometry import Placement
from seewhy.images.normalization import normalize
from seewhy.images.overlay import overlay
from seewhy.images.style import Style
from seewhy.types import ImageArray
from seewhy.viewer.assets import bundle, style_sheet
from seewhy.viewer.explanation_like import ExplanationLike
from seewhy.viewer.photos import PhotoLimits, photo_url
from seewhy.viewer.report import report_page
from seewhy.viewer.viewer_data import Label, viewer_data

if TYPE_CHECKING:
    from anywidget import AnyWidget

INTERACTIVE_PHOTO = PhotoLimits(800, 60_000)
STATIC_PHOTO = PhotoLimits(360, 20_000)
"""The largest photos that a notebook stores: for the viewer, and for the image shown where scripts are off."""
FRAME_HEIGHT = 680
"""In CSS pixels."""

INLINE_HTML = """<div id="{id}">
<img src="{image}" alt="{alt}">
<p>{caption}</p>
</div>
<script>
(() => {{
  const frame = document.createElement("iframe");
  frame.title = {title};
  frame.sandbox = "allow-scripts allow-downloads";
  frame.style.cssText = "width: 100%; height: {height}px; border: 0; resize: vertical";
  frame.srcdoc = {page};
  document.getElementById("{id}").replaceChildren(frame);
}})();
</script>
"""


def view(
    explanations: ExplanationLike | Iterable[ExplanationLike], labels: Sequence[Label] | None = None
) -> "AnyWidget":
    """Show explanations in the viewer, as a notebook widget.

    Args:
        explanations: One explanation, or more: of one image by different methods or layers, or of many images.
        labels: The true class of each explanation's image, by name or index; None where it is unknown.

    Returns:
        The widget. Set its `data` to the result of another `viewer_data(...)` to show other explanations.

    Raises:
        MissingExtraError: anywidget is not installed.
        InputError: No explanation was given.
        OptionError: The number of labels is not the number of explanations.
    """
    if not isinstance(explanations, Iterable):
        explanations = [explanations]
    return _widget_class()(data=viewer_data(explanations, labels=labels))


def inline_html(explanation: ExplanationLike) -> str:
    """Return what a notebook shows for an explanation: the viewer in a frame, or a small image if scripts are off."""
    target = explanation.targets[0]
    name = explanation.source or "the image"
    caption = f"{explanation.title}, layer {explanation.layer}: evidence for {target.name}"
    return INLINE_HTML.format(
        id=f"seewhy-{secrets.token_hex(8)}",
        image=photo_url(_small_overlay(explanation), STATIC_PHOTO),
        alt=html.escape(f"{caption}, in {name}"),
        caption=html.escape(caption),
        title=_script_literal(f"{caption}, in {name}"),
        height=FRAME_HEIGHT,
        page=_script_literal(report_page([explanation], INTERACTIVE_PHOTO)),
    )


def _small_overlay(explanation: ExplanationLike) -> ImageArray:
    """Draw the first target's overlay on a scaled-down photo: blending the full image would take much longer."""
    photo = Image.fromarray(explanation.image)
    photo.thumbnail((STATIC_PHOTO.side, STATIC_PHOTO.side), Image.Resampling.LANCZOS)
    (height, width), box = explanation.placement.image_size, explanation.placement.box
    scales = (photo.height / height, photo.width / width) * 2
    top, left, bottom, right = (edge * scale for edge, scale in zip(box, scales, strict=True))
    placement = Placement((photo.height, photo.width), (top, left, bottom, right))
    (heatmap,) = placement.place(normalize(explanation.heatmaps[:1], explanation.peak_quantile))
    return overlay(np.asarray(photo), heatmap, placement.covered, Style(colormap="viridis"))


def _script_literal(text: str) -> str:
    """Return a text as a JavaScript literal that cannot end the script element around it."""
    return json.dumps(text).replace("<", "\\u003c")


@functools.cache
def _widget_class() -> "type[AnyWidget]":
    """Return the widget's class, which can be defined only where anywidget is installed."""
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"To show explanations as a widget, {error.name}", "notebook") from error

    class Viewer(anywidget.AnyWidget):
        """The viewer and the data that it shows."""

        _esm = bundle("widget.js")
        _css = style_sheet("viewer.css")
        data = traitlets.Dict().tag(sync=True)

    return Viewer
