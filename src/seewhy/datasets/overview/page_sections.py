"""The HTML of the overview of a data set: what is above the images, in the report and on the server's page.

All texts are escaped; images are data: URLs; there are no scripts and no inline styles, which both pages forbid.
"""

import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from seewhy.datasets.overview.clusters import MIN_MAPS
from seewhy.datasets.overview.map_statistics import Values, border_of_uniform_map
from seewhy.datasets.overview.overview import ClassOverview, Cluster, Overview
from seewhy.datasets.overview.row_entries import RowEntries
from seewhy.datasets.overview.shortcuts import MIN_SIDE, Shortcut
from seewhy.images.colour import colorize
from seewhy.images.geometry import Placement
from seewhy.images.text import printable
from seewhy.representation import counted
from seewhy.viewer.photos import PhotoLimits, photo_url

MAX_CLASSES = 100
"""How many classes the table lists."""

MAX_CLUSTERED = 30
"""Of how many classes clusters are shown."""

EXAMPLE = PhotoLimits(240, 0)
MAP_SIDE = 96
NONE = "-"

NOT_SUSPECTED = (
    "No cluster is suspected to be a shortcut. This does not prove that there is none: marks in fewer than a tenth of "
    "the images of a class, marks at changing places and marks in the middle are not found."
)


def page_sections(overview: Overview, summary: Mapping[str, Any], entries: RowEntries) -> str:
    """Return the HTML of the overview of a data set.

    Args:
        overview: The overview.
        summary: What `Output.summary` returns.
        entries: Reads the images of the examples.
    """
    sections = [
        *_head(overview, summary),
        *_shortcuts(overview, entries),
        *_classes(overview, summary),
        *_clusters(overview, entries),
    ]
    content = "\n".join([*sections, '<h2 id="images">Images</h2>'])
    return f'<div class="data-set">\n{content}\n</div>\n'


def cluster_key(each: ClassOverview, number: int) -> str:
    """Return the key of a cluster of a class, by which images are filtered; clusters are counted from 1."""
    return f"{printable(each.name)}, cluster {number + 1}"


def clustered_classes(overview: Overview) -> list[ClassOverview]:
    """Return the classes whose clusters are shown, those with a suspected shortcut first."""
    chosen = [each for each in overview.classes if each.silhouette is not None or _is_suspected(each)]
    return sorted(chosen, key=lambda each: not _is_suspected(each))[:MAX_CLUSTERED]


def place_words(centre: tuple[float, float]) -> str:
    """Return a place on the input in words, such as "at the lower left"."""
    thirds = [min(int(3 * value), 2) for value in centre]
    words = [("upper", "", "lower")[thirds[0]], ("left", "", "right")[thirds[1]]]
    named = " ".join(word for word in words if word)
    return {"": "in the middle", "upper": "at the top", "lower": "at the bottom"}.get(named, f"at the {named}")


def shortcut_words(each: ClassOverview, cluster: Cluster, shortcut: Shortcut) -> str:
    """Return why a cluster is suspected, in words."""
    top, left, bottom, right = shortcut.window
    group = f"In {cluster.images:,} of the {each.clustered:,} maps of {printable(each.name)} that were compared"
    return (
        f"{group}, {shortcut.energy:.0%} of the evidence lies {place_words(shortcut.centre)}, in "
        f"{(bottom - top) * (right - left):.0%} of the input. Only {shortcut.others:.1%} of the maps of other "
        f"classes have more than half of their evidence there (permutation test: p = {shortcut.p_value:.3f})."
    )


def _head(overview: Overview, summary: Mapping[str, Any]) -> Iterator[str]:
    yield "<h1>Where the model looks, over the whole data set</h1>"
    facts = [
        f"{counted(summary['explained'], 'image')} of {summary['images']:,} explained; {_text(summary['source'])}",
        f"model {_text(summary['model'])}; {_text(summary['method'])}; layer {_text(summary['layer'])}",
    ]
    if not summary["complete"]:
        facts.append("the run is not complete: this is what has been explained so far")
    if summary["failed"]:
        kinds = ", ".join(f"{_text(kind)} {count:,}" for kind, count in summary["errors"].items())
        facts.append(f"{summary['failed']:,} failed ({kinds})")
    if summary["labelled"]:
        facts.append(f"misclassified: {summary['misclassified']:,} of {summary['labelled']:,} with a known class")
    empty = int((~overview.index.has_evidence).sum())
    facts.append(f"maps without evidence: {empty:,}")
    yield f"<ul>{''.join(f'<li>{fact}</li>' for fact in facts)}</ul>"


def _shortcuts(overview: Overview, entries: RowEntries) -> Iterator[str]:
    yield "<h2>Suspected shortcuts</h2>"
    named = [(each, number) for each in overview.classes for number, own in enumerate(each.clusters) if own.shortcut]
    if not named:
        yield f"<p>{_text(why_none(overview))}</p>"
        return
    yield (
        "<p>A mark that is always at the same place, such as a logo or a caption, may be what the model has learned "
        "instead of the object. Look at the examples, cover the mark, and see whether the prediction changes.</p>"
    )
    for each, number in named:
        cluster = each.clusters[number]
        assert cluster.shortcut is not None  # noqa: S101  # they were chosen by it
        text = shortcut_words(each, cluster, cluster.shortcut)
        content = f"<p>{_text(text)}</p>{_examples(cluster, entries, each.name)}"
        title = f"{each.name}: {place_words(cluster.shortcut.centre)}"
        yield _group(title, content + _button(each, number), name="group suspected")


def why_none(overview: Overview) -> str:
    """Return why no shortcut is suspected, in a sentence: none was found, or none could be looked for."""
    sides = [min(each.mean_map.shape) for each in overview.classes]
    if len(overview.classes) < 2:
        return "Shortcuts are not looked for: there is one class only, and no other to compare it with."
    if min(sides) < MIN_SIDE:
        return f"Shortcuts are not looked for: the maps have fewer than {MIN_SIDE} rows or columns."
    if not any(each.clustered >= MIN_MAPS for each in overview.classes):
        return f"Shortcuts are not looked for: no class has {MIN_MAPS} maps with evidence."
    return NOT_SUSPECTED


def _classes(overview: Overview, summary: Mapping[str, Any]) -> Iterator[str]:
    shown = overview.classes[:MAX_CLASSES]
    yield "<h2>Classes</h2>"
    yield (
        '<p class="note">Each image counts for the class that is predicted, with the map of that class; where that was '
        "not explained, for the first target. A mean map is the mean over its images of the evidence, each with the "
        "sum 1, on the model's input. The border is the outermost tenth at each side: a uniform map has "
        f"{border_of_uniform_map():.0%} there. The probability is the median over the images that are predicted as "
        "this class.</p>"
    )
    if len(shown) < len(overview.classes):
        yield f'<p class="note">The {len(shown)} largest of {len(overview.classes):,} classes.</p>'
    has_labels = bool(summary["labelled"])
    numbers = ["Images", *(["Correct"] if has_labels else []), "Probability", "Empty maps", "Border"]
    heads = "".join(f'<th scope="col" class="number">{head}</th>' for head in numbers)
    yield (
        '<div class="wide" tabindex="0" role="region" aria-label="Classes"><table><thead><tr><th scope="col">Mean map'
        '</th><th scope="col">Class</th><th scope="col">Histogram</th>'
        f'{heads}<th scope="col">Centre (x, y)</th></tr></thead><tbody>'
    )
    largest = max(each.images for each in shown)
    for each in shown:
        yield _class_row(each, largest, has_labels)
    yield "</tbody></table></div>"


def _class_row(each: ClassOverview, largest: int, has_labels: bool) -> str:
    right = f"{each.correct / each.labelled:.0%}" if each.labelled else NONE
    cells = [
        f"{each.images:,}",
        *([right] if has_labels else []),
        NONE if np.isnan(each.probability) else f"{each.probability:.2f}",
        f"{each.without_evidence:,}",
        NONE if each.border is None else f"{each.border:.0%}",
    ]
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    centre = NONE if each.centre is None else f"{place_words(each.centre)} ({each.centre[1]:.2f}, {each.centre[0]:.2f})"
    bar = (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="whole" width="100" '
        f'height="10"/><rect width="{100 * each.images / largest:.1f}" height="10"/></svg>'
    )
    return (
        f'<tr><td>{_map_picture(each.mean_map, f"Mean map of {each.name}")}</td><th scope="row">{_text(each.name)}</th>'
        f'<td class="histogram">{bar}</td>{numbers}<td>{centre}</td></tr>'
    )


def _clusters(overview: Overview, entries: RowEntries) -> Iterator[str]:
    yield "<h2>Clusters of maps</h2>"
    shown = clustered_classes(overview)
    total = sum(each.silhouette is not None for each in overview.classes)
    yield (
        f'<p class="note">Maps of one class that are alike (spectral clustering, arXiv 1902.10178), of up to '
        f"{max((each.clustered for each in overview.classes), default=0):,} images of a class, drawn at random with "
        f"the seed {overview.seed}. The silhouette, from -1 to 1, says how clearly a cluster differs from the next. "
        f"{counted(total, 'class')} of {len(overview.classes):,} {'has' if total == 1 else 'have'} clusters.</p>"
    )
    for each in shown:
        clear = "no clusters" if each.silhouette is None else f"silhouette {each.silhouette:.2f}"
        groups = "".join(_cluster(each, number, entries) for number in range(len(each.clusters)))
        opened = " open" if _is_suspected(each) else ""
        heading = f"{_text(each.name)}: {counted(len(each.clusters), 'cluster')}, {clear}"
        yield f"<details{opened}><summary>{heading}</summary>{groups}</details>"


def _cluster(each: ClassOverview, number: int, entries: RowEntries) -> str:
    cluster = each.clusters[number]
    clear = "" if cluster.silhouette is None else f", silhouette {cluster.silhouette:.2f}"
    text = (
        f"{counted(cluster.images, 'map')}{clear}; centre {place_words(cluster.centre)} ({cluster.centre[1]:.2f}, "
        f"{cluster.centre[0]:.2f}); {cluster.border:.0%} at the border."
    )
    suspected = " Suspected to be a shortcut." if cluster.shortcut else ""
    warning = f'<p class="warning">{suspected}</p>' if suspected else ""
    content = f'<p class="note">{text}</p>{warning}{_examples(cluster, entries, each.name)}'
    return _group(f"Cluster {number + 1}", content + _button(each, number))


def _group(title: str, content: str, name: str = "group") -> str:
    return f'<section class="{name}"><h3>{_text(title)}</h3>{content}</section>'


def _button(each: ClassOverview, number: int) -> str:
    key = _text(cluster_key(each, number))
    return (
        f'<button type="button" data-cluster="{key}" hidden>Show the images of '
        f"{_text(each.name)}, cluster {number + 1}</button>"
    )


def _examples(cluster: Cluster, entries: RowEntries, name: str) -> str:
    """Return the mean map of a cluster and its examples."""
    items = [f"<li>{_map_picture(cluster.mean_map, f'Mean map of a cluster of {name}')}<span>mean map</span></li>"]
    for row in map(int, cluster.examples):
        explanation, missing = entries.example(row)
        small = explanation.thumbnail(EXAMPLE.side, 1)
        key = entries.index.key(row)
        note = "the map alone: the image is missing" if missing else f"evidence for {explanation.targets[0].name}"
        image = f'<img src="{photo_url(small.overlay(), EXAMPLE)}" alt="{_text(f"{key}, {note}")}">'
        items.append(f"<li>{image}<span>{_text(key)}{' (image missing)' if missing else ''}</span></li>")
    return f'<ul class="examples">{"".join(items)}</ul>'


def _map_picture(mean_map: Values, alt: str) -> str:
    largest = mean_map.max(initial=0)
    scaled = (mean_map / largest if largest > 0 else mean_map).astype(np.float32)
    placed = Placement((MAP_SIDE, MAP_SIDE), (0, 0, MAP_SIDE, MAP_SIDE)).place(scaled)
    url = photo_url(colorize(placed, "viridis"), PhotoLimits(MAP_SIDE, 0))
    return f'<img src="{url}" alt="{_text(alt)}" width="{MAP_SIDE}" height="{MAP_SIDE}">'


def _is_suspected(each: ClassOverview) -> bool:
    return any(cluster.shortcut for cluster in each.clusters)


def _text(text: object) -> str:
    return html.escape(printable(str(text)))
