"""The viewer in a notebook: as a widget, and in what a notebook shows of an explanation by itself."""

import functools
import html
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from seewhy.errors import MissingExtraError
from seewhy.images.geometry import Placement
from seewhy.images.normalization import normalize
from seewhy.images.overlay import overlay
from seewhy.images.style import Style
from seewhy.types import ImageArray
from seewhy.viewer.assets import bundle, style
from seewhy.viewer.photos import PhotoLimits, photo_url
from seewhy.viewer.report import page_of
from seewhy.viewer.viewer_data import Label, document_of

if TYPE_CHECKING:
    from seewhy.results.explanation import Explanation

INLINE = PhotoLimits(800, 60_000)
STATIC = PhotoLimits(360, 20_000)
"""How large the photos are that a notebook keeps: with the viewer, and without scripts."""
FRAME_HEIGHT = 680
"""In pixels of the page."""

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


def view(explanations: Any, labels: Sequence[Label] | None = None) -> Any:
    """Show explanations in the viewer, as a widget of the notebook.

    Args:
        explanations: One explanation, or several: of one image by several methods or layers, or of many images.
        labels: For each explanation the class that its image is known to be, by name or index; None where it is not.

    Returns:
        An `anywidget.AnyWidget`; setting its `document` to another `document_of` shows that one instead.

    Raises:
        MissingExtraError: anywidget is not installed.
        InputError: There is no explanation.
        OptionError: There is not one label for each explanation.
    """
    several: Iterable[Explanation] = explanations if isinstance(explanations, Iterable) else [explanations]
    return _widget()(document=document_of(several, labels=labels))


def inline_html(explanation: "Explanation") -> str:
    """Return what a notebook shows: the viewer in a frame, or where scripts are off a small image."""
    target = explanation.targets[0]
    name = explanation.source or "the image"
    caption = f"{explanation.title}, layer {explanation.layer}: what speaks for {target.name}"
    return INLINE_HTML.format(
        id=f"seewhy-{secrets.token_hex(8)}",
        image=photo_url(_small_overlay(explanation), STATIC),
        alt=html.escape(f"{caption}, in {name}"),
        caption=html.escape(caption),
        title=_in_script(f"{caption}, in {name}"),
        height=FRAME_HEIGHT,
        page=_in_script(page_of([explanation], INLINE)),
    )


def _small_overlay(explanation: "Explanation") -> ImageArray:
    """Draw the first target's overlay on the photo made small, which no 12 megapixels are blended for."""
    photo = Image.fromarray(explanation.image)
    photo.thumbnail((STATIC.side, STATIC.side), Image.Resampling.LANCZOS)
    (height, width), box = explanation.placement.image_size, explanation.placement.box
    shrunk = (photo.height / height, photo.width / width) * 2
    top, left, bottom, right = (edge * share for edge, share in zip(box, shrunk, strict=True))
    placement = Placement((photo.height, photo.width), (top, left, bottom, right))
    (heatmap,) = placement.place(normalize(explanation.heatmaps[:1], explanation.peak_quantile))
    return overlay(np.asarray(photo), heatmap, placement.covered, Style(colormap="viridis"))


def _in_script(text: str) -> str:
    """Write a text as a literal of JavaScript that cannot end the script element it stands in."""
    return json.dumps(text).replace("<", "\\u003c")


@functools.cache
def _widget() -> Any:
    """Return the widget's class, which can only be made where anywidget is installed."""
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"To show explanations as a widget, {error.name}", "notebook") from error

    class Viewer(anywidget.AnyWidget):
        """The viewer, and the document it shows."""

        _esm = bundle("widget.js")
        _css = style("viewer.css")
        document = traitlets.Dict().tag(sync=True)

    return Viewer
