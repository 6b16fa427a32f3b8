"""Reports: one HTML file with everything in it, which a browser opens from the disk and which loads nothing."""

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy import timing
from seewhy.errors import InputError, OptionError
from seewhy.images.writing import write_atomically
from seewhy.timing import Phase
from seewhy.viewer.assets import bundle, style
from seewhy.viewer.photos import PhotoLimits, limits_for, photo_url
from seewhy.viewer.viewer_data import Label, entries_of, frame, image_of, summary_of

if TYPE_CHECKING:
    from seewhy.results.explanation import Explanation

SUFFIXES = (".html", ".htm")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{heading}<noscript>
<p class="intro">This page draws its images with JavaScript, which is switched off here.</p>
</noscript>
<div id="viewer"></div>
</main>
<script type="application/json" id="document">{document}</script>
{images}
<script type="module">{script}</script>
</body>
</html>
"""

HEADING = """<h1>SeeWhy report</h1>
<p class="intro">Which part of an image made the model say what it said.</p>
"""


class ReportWriter:
    """Collects images for a report, keeping of each no more than its small photo and its heatmaps.

    Args:
        path: Where the report is to be written: `.html` or `.htm`.
        images: About how many images there will be, which says how large their photos may be.

    Raises:
        OptionError: The suffix is another.
    """

    def __init__(self, path: str | os.PathLike[str], images: int) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise OptionError(f"A report is a page; given {self.path.name!r}, expected a name that ends in .html.")
        self._limits = limits_for(images)
        self._summaries: list[dict[str, Any]] = []
        self._images: list[str] = []

    @property
    def images(self) -> int:
        """How many images there are so far."""
        return len(self._images)

    @timing.phase(Phase.WRITING)
    def add(self, explanations: Sequence["Explanation"], label: Label = None) -> None:
        """Add one image.

        Args:
            explanations: All of that image: one, or one for each method or layer.
            label: The class that the image is known to be, by name or index.
        """
        photo = photo_url(explanations[0].image, self._limits)
        self._add(image_of(explanations, label, photo, f"image {len(self._images) + 1}"))

    @timing.phase(Phase.WRITING)
    def write(self) -> Path:
        """Write the report, whole or not at all, and return its path.

        Raises:
            InputError: No image was added.
            OutputError: The file cannot be written.
        """
        content = _page(self._summaries, self._images).encode()
        write_atomically(self.path, lambda file: file.write(content))
        return self.path

    def _add(self, image: dict[str, Any]) -> None:
        self._summaries.append(summary_of(image))
        self._images.append(_in_script(image))


def write_report(
    explanations: Iterable["Explanation"],
    path: str | os.PathLike[str],
    labels: Sequence[Label] | None = None,
) -> Path:
    """Write a report of explanations: one file that needs no model and nothing beside it.

    One image is shown by itself, several as a gallery to search, sort and filter. Photos are made smaller where there
    are many: the longer side is at most 4,096 pixels for one, 2,048 for up to 20, 1,024 for up to 200, and 640 beyond.

    Args:
        explanations: Of one image or of several. Those of the same image become one entry.
        path: `.html` or `.htm`.
        labels: For each explanation the class that its image is known to be: a name, which may be written as folders
            are (`tiger_cat`), or an index; None where it is not known. With them, right and wrong can be told apart.

    Returns:
        The path.

    Raises:
        InputError: There is no explanation.
        OptionError: The suffix is another, or there is not one label for each explanation.
        OutputError: The file cannot be written.
    """
    explanations = list(explanations)
    entries = entries_of(explanations, labels)
    writer = ReportWriter(path, len(entries))
    for members, label in entries:
        writer.add(members, label)
    return writer.write()


def page_of(explanations: Sequence["Explanation"], limits: PhotoLimits, heading: str = "") -> str:
    """Return a report of one image as a page, with a photo of that size; `HEADING` is that of reports in files."""
    image = image_of(explanations, None, photo_url(explanations[0].image, limits), "image 1")
    return _page([summary_of(image)], [_in_script(image)], heading)


def empty_page() -> str:
    r"""Return a report of one image that is still to be put in.

    A host writes the document's frame and the image's summary, as JSON, into the element `document`, and the whole
    image into `image-0`; for `<` it writes the escape `\u003c`.
    """
    return _page([{"name": ""}], ["null"])


def _page(summaries: Sequence[dict[str, Any]], images: Sequence[str], heading: str = HEADING) -> str:
    if not images:
        raise InputError("There is nothing to report: no image was added.")
    title = f"SeeWhy: {summaries[0]['name'] if len(summaries) == 1 else f'{len(summaries):,} images'}"
    css, script = style("report.css") + style("viewer.css"), bundle("report.js")
    return PAGE.format(
        policy=html.escape(_policy(script, css)),
        title=html.escape(title),
        heading=heading,
        style=css,
        script=script,
        document=_in_script({**frame(), "images": list(summaries)}),
        images="\n".join(
            f'<script type="application/json" id="image-{position}">{image}</script>'
            for position, image in enumerate(images)
        ),
    )


def _policy(script: str, css: str) -> str:
    """Say that the page runs this script and no other, has this style, shows images of its own, and loads nothing."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(css)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _in_script(value: Any) -> str:
    """Write JSON that can stand in a script element: without a `<`, nothing can end it or begin a comment."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
