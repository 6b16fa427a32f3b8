/** The gallery of many images: thumbnails, each of which opens its image. */

import { styleOf } from "./controls.js";
import { createElement, createSelect } from "./dom.js";
import { drawContent, drawFrames } from "./frames.js";
import { decodeHeatmaps } from "./photos.js";
import {
  CONFIDENCES,
  defaultFilter,
  filterImages,
  ORDERS,
  predictedClasses,
  predictionText,
  VERDICTS,
} from "./gallery_filter.js";
import { paneContents, targetKey } from "./pane_contents.js";
import { loadOneFrame, loadBackgrounds } from "./recording.js";
import { drawSignal } from "./signal_drawing.js";

const THUMBNAIL_PIXELS = 40_000;
/** A thumbnail's canvas is larger than it is shown, so the lines of a frame have to be wider. */
const THUMBNAIL_LINES = 80;
const SIGNAL_THUMBNAIL = [300, 180];
const ONE_FRAME = { axis: 0, frame: 0 };
const PRELOAD_MARGIN = "300px";
const SPACE_FOR_FILTERS = "(min-width: 48rem)";

/**
 * Creates a gallery. `loadEntry(position)` promises the full entry of an image; `onopen(position, order)` is called
 * when an image is chosen, with the order in which the images are shown. Thumbnails are drawn when they are about to
 * scroll into view, until `destroy` is called. `hasFilters` is false where the host filters images itself.
 */
export function createGallery(images, colormaps, display, loadEntry, onopen, hasFilters = true) {
  const filter = defaultFilter();
  const count = hasFilters ? createElement("p", { class: "note", role: "status" }) : null;
  const openCard = (position) => onopen(position, filterImages(images, filter));
  const cards = images.map((image, position) => createCard(image, () => openCard(position)));
  const list = createElement("ul", { class: "cards" });
  const filters = hasFilters ? createFilters(images, applyFilter) : null;
  const element = createElement("section", { class: "gallery", "aria-label": "Images" }, filters, count, list);
  const queue = new Set();
  let isDrawing = false;
  const observer = new IntersectionObserver(updateQueue, { rootMargin: PRELOAD_MARGIN });
  cards.forEach((card) => observer.observe(card));

  function applyFilter(changes) {
    Object.assign(filter, changes);
    const positions = filterImages(images, filter);
    list.replaceChildren(...positions.map((position) => cards[position]));
    if (count !== null) {
      count.textContent = `${positions.length} of ${images.length} images`;
    }
  }

  function updateQueue(entries) {
    entries.forEach((entry) => (entry.isIntersecting ? queue.add(entry.target) : queue.delete(entry.target)));
    drawQueue();
  }

  /** Draws one thumbnail per frame, so that scrolling stays smooth; those scrolled out of view have left the queue. */
  async function drawQueue() {
    if (isDrawing) {
      return;
    }
    isDrawing = true;
    while (queue.size > 0) {
      const [card] = queue;
      queue.delete(card);
      observer.unobserve(card);
      await drawThumbnail(card);
      await new Promise(requestAnimationFrame);
    }
    isDrawing = false;
  }

  async function drawThumbnail(card) {
    const position = cards.indexOf(card);
    try {
      const entry = decodeHeatmaps(await loadEntry(position));
      const image = await (entry.recording ? loadOneFrame : loadBackgrounds)(entry, THUMBNAIL_PIXELS);
      const first = targetKey(image.explanations[0].targets[0]);
      const contents = paneContents(image, { current: first, pinned: [], explanation: 0, place: ONE_FRAME });
      const style = styleOf({ ...display, mode: "overlay" }, false, colormaps);
      drawBeside(
        card.querySelector("canvas"),
        contents.map((content) => drawThumbnailOf(content, style)),
      );
      if (image.notice) {
        card.querySelector("button").append(createElement("span", { class: "label" }, "The map alone."));
      }
      card.dataset.drawn = "true";
    } catch (error) {
      card.querySelector("canvas").replaceWith(createElement("span", { class: "warning" }, error.message));
    }
  }

  applyFilter({});
  return {
    element,
    focus: (position) => cards[position].querySelector("button").focus(),
    destroy: () => {
      observer.disconnect();
      queue.clear();
    },
  };
}

function drawThumbnailOf(content, style) {
  const canvas = document.createElement("canvas");
  if (content.background.signal) {
    [canvas.width, canvas.height] = SIGNAL_THUMBNAIL;
    drawSignal(canvas, content, style);
  } else {
    drawContent(canvas, content.background.photo, content, style);
    drawFrames(canvas, content, THUMBNAIL_LINES);
  }
  return canvas;
}

/** Draws canvases on one, side by side at the same height. */
function drawBeside(canvas, parts) {
  const height = Math.max(...parts.map((part) => part.height));
  const widths = parts.map((part) => Math.round((part.width * height) / part.height));
  canvas.height = height;
  canvas.width = widths.reduce((sum, width) => sum + width, 0);
  let left = 0;
  parts.forEach((part, position) => {
    canvas.getContext("2d").drawImage(part, left, 0, widths[position], height);
    left += widths[position];
  });
}

function createCard(image, onopen) {
  const verdict = { true: "correct", false: "wrong" }[image.correct];
  const canvas = createElement("canvas", { "aria-hidden": true });
  canvas.width = image.width; // the final aspect ratio, so that the layout does not shift when it is drawn
  canvas.height = image.height;
  const label = image.label === null ? null : `True class: ${image.label}`;
  const button = createElement(
    "button",
    { type: "button", onclick: onopen },
    createElement("span", { class: "thumbnail" }, canvas),
    createElement("span", { class: "name" }, image.name),
    createElement("span", { class: "prediction" }, predictionText(image)),
    label && createElement("span", { class: `label ${verdict ?? ""}` }, label),
    verdict && createElement("span", { class: `verdict ${verdict}` }, verdict),
  );
  return createElement("li", { class: "card" }, button);
}

/** Creates the search field and the filters, which are folded on small screens; their heading counts those in use. */
function createFilters(images, onfilter) {
  const used = new Set();
  const summary = createElement("summary", {}, "Sort and filter");
  const createFilter = (label, name, choices) => {
    const [[unused]] = choices;
    return createSelect(label, choices, unused, (value) => {
      used[value === unused ? "delete" : "add"](name);
      summary.textContent = used.size > 0 ? `Sort and filter (${used.size} in use)` : "Sort and filter";
      onfilter({ [name]: value });
    });
  };
  const classes = [["", "All"], ...predictedClasses(images).map((name) => [name, name])];
  const search = createElement("input", {
    type: "search",
    oninput: (event) => onfilter({ search: event.target.value }),
  });
  const hasVerdicts = images.some((image) => image.correct !== null);
  const orders = ORDERS.filter(([order]) => hasVerdicts || order !== "wrong-first");
  const fields = createElement(
    "div",
    { class: "fields" },
    createFilter("Sort by", "order", orders),
    createFilter("Predicted class", "predicted", classes),
    createFilter("Confidence", "confidence", CONFIDENCES),
    hasVerdicts ? createFilter("Predictions", "verdict", VERDICTS) : null,
  );
  return createElement(
    "div",
    { class: "filters", role: "search" },
    createElement("label", { class: "field" }, createElement("span", {}, "Search names and classes"), search),
    createElement("details", { open: matchMedia(SPACE_FOR_FILTERS).matches }, summary, fields),
  );
}
