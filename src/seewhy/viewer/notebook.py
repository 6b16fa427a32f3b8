"""The viewer in a notebook: as a widget, and as the HTML representation of an explanation."""

import base64
import functools
import gzip
import html
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from seewhy.errors import MissingExtraError
from seewhy.representation import shortened
from seewhy.types import ImageArray
from seewhy.viewer.assets import bundle, style_sheet
from seewhy.viewer.explanation_like import SampleLike
from seewhy.viewer.photos import PhotoLimits, photo_url
from seewhy.viewer.report import report_page
from seewhy.viewer.viewer_data import Label, Shown, Single, viewer_data

if TYPE_CHECKING:
    from anywidget import AnyWidget

PHOTOS = tuple(PhotoLimits(800, size, size) for size in (36_000, 24_000, 12_000))
"""The largest photos in the viewer of a notebook: the first that fits beside the heatmaps is taken."""
SMALL_STILL = PhotoLimits(640, 0, 18_000)
LARGE_STILL = PhotoLimits(1000, 0, 75_000)
"""The largest images that are shown where scripts are off, and where the viewer would take too many bytes."""
MAX_HTML = 115_000
"""The characters that a notebook stores of the HTML of an explanation."""
TOO_LARGE = (
    "It is too large for the viewer in a notebook: explanation.report('report.html') writes a page with it, "
    "and seewhy.view(explanation) shows it as a widget."
)
SHOWN_TARGETS = 3
"""How many targets a caption names."""
FRAME_HEIGHT = 680
"""In CSS pixels."""

STILL_HTML = """<div id="{id}">
<img src="{image}" alt="{alt}">
<p>{caption}</p>
</div>
"""
MORE_HTML = "<p>And {count} more explanation{s}, in the widget.</p>\n"
UNPACKING = """<script>
(async () => {{
  if (!("DecompressionStream" in window)) return;
  const packed = Uint8Array.from(atob("{page}"), (character) => character.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const frame = document.createElement("iframe");
  frame.title = {title};
  frame.sandbox = "allow-scripts allow-downloads";
  frame.style.cssText = "width: 100%; height: {height}px; border: 0; resize: vertical";
  frame.srcdoc = await new Response(unpacked).text();
  document.getElementById("{id}")?.replaceChildren(frame);
}})();
</script>
"""
"""The page of the viewer is compressed: most of it is the viewer's own code, which every output holds again."""


def view(explanations: Shown | Iterable[Shown], labels: Sequence[Label] | None = None) -> "AnyWidget":
    """Show explanations in the viewer, as a notebook widget.

    Args:
        explanations: One explanation, or more: of one image, or one sample of several images, by different methods or
            layers, or of many.
        labels: The true class of each explanation's image, by name or index; None where it is unknown.

    Returns:
        The widget. Set its `data` to the result of another `viewer_data(...)` to show other explanations. The notebook
        stores the first explanation too, as it shows it without a widget, for what shows no widgets.

    Raises:
        MissingExtraError: anywidget is not installed.
        InputError: No explanation was given.
        OptionError: The number of labels is not the number of explanations.
    """
    if isinstance(explanations, SampleLike) or not isinstance(explanations, Iterable):
        explanations = [explanations]
    shown = list(explanations)
    widget = _widget_class()(data=viewer_data(shown, labels=labels))
    widget.represent = functools.partial(_representation, shown)
    return widget


def inline_html(explanation: Single, still: ImageArray) -> str:
    """Return what a notebook shows for an explanation: the viewer in a frame, or an image where scripts are off.

    It has at most `MAX_HTML` characters. Where the viewer would take more, it is the image alone.

    Args:
        explanation: The explanation.
        still: The image, uint8 (H, W, 3); it is scaled down as far as necessary.
    """
    names = ", ".join(shortened(target.name) for target in explanation.targets[:SHOWN_TARGETS])
    more = "" if len(explanation.targets) <= SHOWN_TARGETS else f" and {len(explanation.targets) - SHOWN_TARGETS} more"
    caption = f"{shortened(explanation.title)}, layer {shortened(explanation.layer)}: evidence for {names}{more}"
    alt = f"{caption}, in {shortened(explanation.source or f'the {explanation.noun}')}"
    element = {"id": f"seewhy-{secrets.token_hex(8)}", "alt": html.escape(alt)}
    if explanation.heatmaps.nbytes <= 4 * MAX_HTML:  # more could not be compressed enough
        image = photo_url(still, SMALL_STILL)
        content = STILL_HTML.format(image=image, caption=html.escape(caption), **element)
        script = {"title": _script_literal(alt), "height": FRAME_HEIGHT, "id": element["id"]}
        for limits in PHOTOS:
            interactive = content + UNPACKING.format(page=_packed(report_page([explanation], limits)), **script)
            if len(interactive) <= MAX_HTML:
                return interactive
    element["caption"] = html.escape(f"{caption}. {TOO_LARGE}")
    return STILL_HTML.format(image=photo_url(still, LARGE_STILL), **element)


def _representation(shown: Sequence[Shown]) -> dict[str, str]:
    """Return what a notebook shows for the first of several explanations where it shows no widgets, by its type."""
    if isinstance(shown[0], SampleLike):
        return {"image/jpeg": base64.b64encode(shown[0]._repr_jpeg_()).decode("ascii")}
    content, more = shown[0]._repr_html_(), len(shown) - 1
    return {"text/html": content + MORE_HTML.format(count=more, s="s" * (more > 1)) * (more > 0)}


def _packed(page: str) -> str:
    return base64.b64encode(gzip.compress(page.encode(), 9, mtime=0)).decode("ascii")


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
        """The viewer and the data that it shows.

        `represent` returns what is stored beside the widget, by its type. Exporters and sites that render notebooks
        show it: they have neither the widget's data, which JupyterLab saves only where a setting says so, nor the
        scripts of widgets. It is no longer taken once other data are shown.
        """

        _esm = bundle("widget.js")
        _css = style_sheet("viewer.css")
        data = traitlets.Dict().tag(sync=True)
        represent: Callable[[], dict[str, str]] | None = None

        @traitlets.observe("data")
        def _show_other_data(self, _change: object) -> None:
            self.represent = None

        def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
            bundle: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**kwargs)
            if bundle is None or self.represent is None:
                return bundle
            return bundle[0] | self.represent(), bundle[1]

    return Viewer
