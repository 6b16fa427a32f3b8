/** The view of one image: its panes, its list of predictions, and the controls. */

import { createControls, styleOf } from "./controls.js";
import { createElement } from "./dom.js";
import { createPane } from "./pane.js";
import { decodeHeatmaps, loadPhoto, photoPixels, SHOWN_PIXELS } from "./photos.js";
import { createPredictionList } from "./predictions.js";
import { paneContents, targetKey } from "./pane_contents.js";

const HINT =
  "Hover, or use ↑ and ↓, to see the evidence for a class. Click or press Enter to pin it; pin two to compare.";

/**
 * Creates the view of an image.
 *
 * Args: the image's entry in the viewer's input, the colour maps by name, and the display options (controls.js), which
 * are kept from image to image. Returns a promise of the element, which is drawn then.
 */
export async function createImageView(entry, colormaps, display) {
  const image = decodeHeatmaps(entry);
  const bitmap = await loadPhoto(image);
  const photo = photoPixels(bitmap, SHOWN_PIXELS);
  const selection = { current: targetKey(image.explanations[0].targets[0]), pinned: [], explanation: 0 };
  const panes = [];
  const paneGrid = createElement("div", { class: "panes" });
  const callbacks = { onpoint, onleave, onpin };
  const lists = image.explanations.map((_, position) => createPredictionList(image, position, callbacks));
  const controls = createControls(image, display, render, (position) => {
    selection.explanation = position;
    render();
  });
  const side = createElement(
    "div",
    { class: "side" },
    createElement("h3", {}, "Predictions"),
    createElement("p", { class: "note" }, HINT),
    ...lists.map((list) => list.element),
    controls.element,
  );
  const attributes = { class: "image", "aria-label": image.name };
  const element = createElement("section", attributes, createHeading(image), paneGrid, side);

  function onpoint(key) {
    selection.current = key;
    render();
  }

  function onleave() {
    if (selection.pinned.length > 0) {
      selection.current = null;
      render();
    }
  }

  function onpin(key) {
    const isPinned = selection.pinned.includes(key);
    const others = selection.pinned.filter((pinned) => pinned !== key);
    selection.pinned = isPinned ? others : [...others, key].slice(-2);
    selection.current = key;
    render();
  }

  function render() {
    const contents = paneContents(image, { ...selection, ...display });
    while (panes.length < contents.length) {
      panes.push(createPane(image, photo, bitmap));
    }
    panes.length = contents.length;
    if (paneGrid.childElementCount !== panes.length) {
      paneGrid.replaceChildren(...panes.map((pane) => pane.element));
      paneGrid.dataset.count = String(Math.min(panes.length, 3));
    }
    contents.forEach((content, position) => {
      panes[position].show(content, styleOf(display, content.heatmap?.signed, colormaps));
    });
    const shown = selection.pinned.length === 2 ? selection.pinned : [selection.current ?? selection.pinned[0]];
    lists.forEach((list, position) => {
      list.element.hidden = position !== selection.explanation;
      list.update(shown, selection.pinned);
    });
    controls.update(selection.pinned, contents.every((content) => content.heatmap?.signed));
  }

  render();
  return element;
}

function createHeading(image) {
  const header = createElement("header", {}, createElement("h2", {}, image.name));
  if (image.label !== null) {
    const best = image.predictions[0];
    const predicted = best === undefined ? "" : ` Predicted: ${best.name}.`;
    const labelClass = image.correct === false ? "label wrong" : "label";
    header.append(createElement("p", { class: labelClass }, `True class: ${image.label}.${predicted}`));
  }
  return header;
}
