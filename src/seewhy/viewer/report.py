"""Reports: one self-contained HTML file, which a browser opens from the disk and which loads nothing."""

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import InputError, OptionError
from seewhy.images.text import printable
from seewhy.images.writing import write_atomically
from seewhy.representation import counted, description, shortened
from seewhy.timing import Phase
from seewhy.viewer.assets import bundle, style_sheet
from seewhy.viewer.photos import PhotoLimits, limits_for
from seewhy.viewer.viewer_data import (
    Label,
    Shown,
    group_by_image,
    image_entry,
    image_summary,
    viewer_header,
)
from seewhy.viewer.viewer_format import ImageEntry

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
<body class="seewhy-colors">
<main>
{heading}<noscript>
<p class="intro">This page needs JavaScript to draw its images, and JavaScript is off.</p>
</noscript>
<div id="viewer"></div>
</main>
<script type="application/json" id="viewer-data">{data}</script>
{images}
<script type="module">{script}</script>
</body>
</html>
"""

HEADING = """<h1>SeeWhy report</h1>
<p class="intro">Which parts of an image are evidence for what the model predicts.</p>
"""


class ReportWriter:
    """Collects images for a report, and stores only a small photo and the heatmaps of each.

    Args:
        path: The file to write: `.html` or `.htm`.
        images: The approximate number of images, which determines the size of their photos.

    Raises:
        OptionError: The path has another suffix.
    """

    def __init__(self, path: str | os.PathLike[str], images: int) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise OptionError(f"A report is an HTML page; given {self.path.name!r}, expected a name ending in .html.")
        self._limits = limits_for(images)
        self._summaries: list[Mapping[str, object]] = []
        self._images: list[str] = []

    def __repr__(self) -> str:
        return description(self, f"of {shortened(str(self.path))}: {counted(self.images, 'image')} added")

    @property
    def images(self) -> int:
        """The number of images added so far."""
        return len(self._images)

    @timing.phase(Phase.WRITING)
    def add(self, explanations: Sequence[Shown], label: Label = None) -> None:
        """Add one image, or one sample of several images.

        Args:
            explanations: All explanations of it: one, or one for each model, method and layer.
            label: The true class of the image, by name or index.
        """
        self.add_entry(image_entry(explanations, label, f"image {len(self._images) + 1}", self._limits))

    def add_entry(self, image: ImageEntry, facts: Mapping[str, object] | None = None) -> None:
        """Add one image by its entry.

        Args:
            image: The entry.
            facts: What the script of the page needs to know of it, beside its summary.
        """
        self._summaries.append({**image_summary(image), **(facts or {})})
        self._images.append(script_json(image))

    @timing.phase(Phase.WRITING)
    def write(
        self,
        *,
        heading: str = HEADING,
        style: str = "",
        title: str | None = None,
        script: str = "report.js",
        data: Mapping[str, object] | None = None,
    ) -> Path:
        """Write the report, completely or not at all, and return its path.

        Args:
            heading: HTML above the viewer, in which all texts are escaped.
            style: CSS for it.
            title: The page's title; None names the image, or the number of images.
            script: The module of the viewer that the page runs.
            data: What that needs to know beside the images.

        Raises:
            InputError: No image was added.
            OutputError: The file cannot be written.
        """
        content = _page(self._summaries, self._images, heading, style, title, script, data).encode()
        write_atomically(self.path, lambda file: file.write(content), durable=True)
        return self.path


def write_report(
    explanations: Iterable[Shown],
    path: str | os.PathLike[str],
    labels: Sequence[Label] | None = None,
) -> Path:
    """Write a report of explanations: one file that needs neither a model nor other files.

    A single image is shown directly; several become a gallery to search, sort and filter. Photos of many images are
    scaled down: the longer side is at most 4,096 pixels for one, 2,048 for up to 20, 1,024 for up to 200, and 640
    beyond.

    Args:
        explanations: Explanations of one or more images, or of samples of several images. Those of the same image
            become one entry.
        path: The file to write: `.html` or `.htm`.
        labels: The true class of each explanation's image: a name, also as folders are named (`tiger_cat`), or an
            index; None where it is unknown. With labels, the report tells correct predictions from wrong ones.

    Returns:
        The path.

    Raises:
        InputError: No explanation was given.
        OptionError: The path has another suffix, or the number of labels is not the number of explanations.
        OutputError: The file cannot be written.
    """
    explanations = list(explanations)
    groups = group_by_image(explanations, labels)
    writer = ReportWriter(path, len(groups))
    for group, label in groups:
        writer.add(group, label)
    return writer.write()


def report_page(explanations: Sequence[Shown], limits: PhotoLimits, heading: str = "") -> str:
    """Return the HTML of a report of one image, with a photo within these limits; files have `HEADING`."""
    image = image_entry(explanations, None, "image 1", limits)
    return _page([image_summary(image)], [script_json(image)], heading)


def report_template() -> str:
    r"""Return the HTML of a report of one image, without the image.

    A host fills in two script elements with JSON: `viewer-data` with the viewer's input, in which the image is its
    summary, and `image-0` with the whole entry of the image. It writes `<` as the escape `\u003c`.
    """
    return _page([{"name": ""}], ["null"])


def _page(
    summaries: Sequence[Mapping[str, object]],
    images: Sequence[str],
    heading: str = HEADING,
    style: str = "",
    title: str | None = None,
    module: str = "report.js",
    data: Mapping[str, object] | None = None,
) -> str:
    if not images:
        raise InputError("There is nothing to report: no image was added.")
    title = title or f"SeeWhy: {summaries[0]['name'] if len(summaries) == 1 else f'{len(summaries):,} images'}"
    css, script = style_sheet("report.css") + style_sheet("viewer.css") + style, bundle(module)
    return PAGE.format(
        policy=html.escape(_policy(script, css)),
        title=html.escape(printable(title)),
        heading=heading,
        style=css,
        script=script,
        data=script_json({**viewer_header(), **(data or {}), "images": list(summaries)}),
        images="\n".join(
            f'<script type="application/json" id="image-{position}">{image}</script>'
            for position, image in enumerate(images)
        ),
    )


def _policy(script: str, css: str) -> str:
    """Return a policy that allows this script and this style sheet, embedded images, and nothing else."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(css)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def script_json(value: Mapping[str, object]) -> str:
    """Return JSON for a script element: without a `<`, it cannot end the element or begin a comment."""
    content = json.dumps(_printable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return content.replace("<", "\\u003c")


def _printable(value: Any) -> Any:
    """Return JSON in which all texts can be encoded; a report also shows files whose names are not Unicode."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, (list, tuple)) else value
