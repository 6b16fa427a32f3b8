/** One heatmap on its photo: the canvas, its heading, the value at a point, and saving it. */

import { createElement } from "./dom.js";
import { formatValue } from "./numbers.js";
import { colorGradient, draw } from "./renderer.js";
import { photoPixels } from "./photos.js";
import { valueAt } from "./placement.js";
import { describePeak, peakPoint } from "./pane_contents.js";

const KEY_STEP = 1 / 40;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Creates a pane of an image. `photo` is {width, height, pixels}, `bitmap` the loaded photo at its full size. `onscroll`
 * receives the position to which the reader scrolls an image that is zoomed.
 */
export function createPane(image, photo, bitmap, onscroll) {
  const title = createElement("h3", {});
  const detail = createElement("p", { class: "detail" });
  const heading = createElement("figcaption", {}, title, detail);
  const canvas = createElement("canvas", { tabindex: 0, role: "img" });
  canvas.width = photo.width;
  canvas.height = photo.height;
  const mark = createElement("span", { class: "mark", hidden: true });
  const value = createElement("output", { class: "value", hidden: true }); // over the image, which it cannot move
  const zoomable = createElement("div", { class: "zoomable" }, canvas, mark);
  const scroller = createElement("div", { class: "scroller" }, zoomable);
  const caption = createElement("p", { class: "caption" });
  const legend = createLegend();
  const save = createElement("button", { type: "button", onclick: savePng }, "Save as PNG");
  const element = createElement(
    "figure",
    { class: "pane" },
    heading,
    createElement("div", { class: "stage" }, scroller, value),
    createElement("div", { class: "foot" }, legend.element, save),
    caption,
  );
  element.style.setProperty("--aspect", String(photo.width / photo.height));
  let shown = null; // {content, style}
  let zoom = 1;
  let centre = null; // of zooming: the point {x, y} of the image, and {left, top}, to which it was scrolled then
  let pointer = { x: 0.5, y: 0.5 };

  canvas.addEventListener("pointermove", pointAtEvent);
  canvas.addEventListener("pointerdown", pointAtEvent); // a tap does not move
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") {
      hideValue(); // a finger has to leave before the value can be read
    }
  });
  canvas.addEventListener("blur", hideValue);
  canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) {
      event.preventDefault();
      if (mark.hidden && zoom > 1) {
        pointer = visibleCentre();
      }
      const [right, down] = ARROWS[event.key];
      pointAt(pointer.x + right * KEY_STEP, pointer.y + down * KEY_STEP);
      if (zoom > 1) {
        mark.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    }
  });
  scroller.addEventListener("scroll", () => onscroll(scroller.scrollLeft, scroller.scrollTop));

  function pointAtEvent(event) {
    const bounds = canvas.getBoundingClientRect();
    pointAt((event.clientX - bounds.left) / bounds.width, (event.clientY - bounds.top) / bounds.height);
  }

  function pointAt(x, y) {
    pointer = { x: Math.min(Math.max(x, 0), 0.9999), y: Math.min(Math.max(y, 0), 0.9999) };
    mark.hidden = value.hidden = false;
    mark.style.left = `${100 * pointer.x}%`;
    mark.style.top = `${100 * pointer.y}%`;
    value.classList.toggle("above", pointer.y > 0.5); // not where the reader looks
    value.textContent = valueText();
  }

  function hideValue() {
    mark.hidden = value.hidden = true;
    value.textContent = "";
  }

  function valueText() {
    const [x, y] = [pointer.x * image.width, pointer.y * image.height];
    const position = `At ${Math.floor(x)}, ${Math.floor(y)}: `;
    const { heatmap, rawHeatmap, peak } = shown.content;
    if (heatmap === null) {
      return `${position}not explained.`;
    }
    const raw = valueAt(rawHeatmap, y, x);
    if (raw === null) {
      return `${position}the model did not see this part.`;
    }
    const percent = peak > 0 ? `, ${Math.round((100 * raw) / peak)}% of the peak` : "";
    return `${position}${formatValue(raw)}${percent}`;
  }

  /** Shows a content (pane_contents.js) in a style (renderer.js), with its own heading and caption (captions.js). */
  function show(content, style, ownHeading, ownCaption) {
    shown = { content, style };
    heading.hidden = ownHeading === null;
    title.textContent = ownHeading?.title ?? "";
    detail.textContent = ownHeading?.detail ?? "";
    const context = canvas.getContext("2d");
    if (content.heatmap === null) {
      context.putImageData(new ImageData(new Uint8ClampedArray(photo.pixels), photo.width, photo.height), 0, 0);
    } else {
      draw(context, photo, content.heatmap, style);
    }
    canvas.setAttribute("aria-label", ariaLabel(content));
    caption.textContent = ownCaption ?? "";
    caption.hidden = ownCaption === null;
    caption.classList.toggle("warning", content.warning !== null);
    legend.update(content, style);
    save.disabled = content.heatmap === null;
    if (!mark.hidden) {
      value.textContent = valueText();
    }
  }

  function ariaLabel(content) {
    const summary = content.warning ?? `strongest ${describePeak(content.heatmap)}`;
    return `${image.name}: ${content.title}; ${content.detail}; ${summary}`;
  }

  /** Zooms to a factor, towards the peak of the heatmap, or towards the middle of what the reader has scrolled to. */
  function setZoom(newZoom) {
    if (zoom === 1) {
      centre = shown.content.heatmap === null ? { x: 0.5, y: 0.5 } : peakPoint(shown.content.heatmap);
    } else if (scroller.scrollLeft !== centre.left || scroller.scrollTop !== centre.top) {
      centre = visibleCentre();
    }
    zoom = newZoom;
    element.style.setProperty("--zoom", String(zoom));
    element.classList.toggle("zoomed", zoom > 1);
    const left = centre.x * scroller.scrollWidth - scroller.clientWidth / 2;
    const top = centre.y * scroller.scrollHeight - scroller.clientHeight / 2;
    scrollTo(left, top);
    centre = { ...centre, left: scroller.scrollLeft, top: scroller.scrollTop };
  }

  /** Returns the point of the image that is in the middle of what is visible. */
  function visibleCentre() {
    return {
      x: (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth,
      y: (scroller.scrollTop + scroller.clientHeight / 2) / scroller.scrollHeight,
    };
  }

  function scrollTo(left, top) {
    scroller.scrollTo({ left, top, behavior: "instant" });
  }

  function savePng() {
    drawFullSize(bitmap, shown).toBlob((blob) => {
      const href = URL.createObjectURL(blob);
      createElement("a", { href, download: fileName(image, shown.content) }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
    }, "image/png");
  }

  return { element, show, setZoom, scrollTo };
}

/** Draws the pane again, at the full size of the photo. */
function drawFullSize(bitmap, { content, style }) {
  const photo = photoPixels(bitmap);
  const canvas = document.createElement("canvas");
  canvas.width = photo.width;
  canvas.height = photo.height;
  draw(canvas.getContext("2d"), photo, content.heatmap, style);
  return canvas;
}

function fileName(image, content) {
  const stem = image.name.replace(/\.[^.]*$/, "");
  return `${[stem, content.method, content.name].join("_").replace(/[^\p{L}\p{N}+.-]+/gu, "_")}.png`;
}

/** Creates the colour bar. */
function createLegend() {
  const bar = createElement("span", { class: "bar", "aria-hidden": true });
  const low = createElement("span", {});
  const high = createElement("span", {});
  const element = createElement("div", { class: "legend" }, low, bar, high);

  function update(content, style) {
    element.hidden = content.heatmap === null;
    if (content.heatmap !== null) {
      bar.style.background = colorGradient(style.colors);
      low.textContent = content.low;
      high.textContent = content.high;
    }
  }

  return { element, update };
}
