/** One heatmap on its photo: the canvas, the boxes of detections, the value at a point, and saving it. */

import { createElement } from "./dom.js";
import { formatValue } from "./numbers.js";
import { createDetectionBoxes } from "./detection_boxes.js";
import { drawContent, drawFrames } from "./frames.js";
import { createPaneFrame, saveCanvas } from "./pane_frame.js";
import { photoPixels } from "./photos.js";
import { valueAt } from "./placement.js";
import { describePeak, peakPoint } from "./pane_contents.js";

const KEY_STEP = 1 / 40;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Creates a pane of an image.
 *
 * The callbacks are `onscroll(left, top)`, for when the reader scrolls an image that is zoomed; `onpoint(key)`, for when
 * the reader points at the box of a detection, with null when that ends; and `onselect(key, content)`, for a click on
 * one, with what the pane shows.
 */
export function createPane(image, { onscroll, onpoint, onselect }) {
  const canvas = createElement("canvas", { tabindex: 0, role: "img" });
  const mark = createElement("span", { class: "mark", hidden: true });
  const boxes = createDetectionBoxes(image.name, { onpoint, onselect: (key) => onselect(key, shown.content) });
  const zoomable = createElement("div", { class: "zoomable" }, canvas, boxes.element, mark);
  const frame = createPaneFrame(zoomable, () => saveCanvas(image, shown.content, drawFullSize(shown)));
  const { element, scroller, value } = frame;
  let shown = null; // {content, style}
  let zoom = 1;
  let centre = null; // of zooming: the point {x, y} of the image, and {left, top}, to which it was scrolled then
  let pointer = { x: 0.5, y: 0.5 };

  zoomable.addEventListener("pointermove", pointAtEvent); // also where boxes lie over the canvas
  zoomable.addEventListener("pointerdown", pointAtEvent); // a tap does not move
  zoomable.addEventListener("pointerleave", (event) => {
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
    const { width, height } = shown.content.background;
    const [x, y] = [pointer.x * width, pointer.y * height];
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

  /**
   * Shows a content (pane_contents.js) in a style (renderer.js), with its own heading and caption (captions.js), and
   * the boxes of all detections, or of what is shown only.
   */
  function show(content, style, ownHeading, ownCaption, hasAllBoxes) {
    shown = { content, style };
    frame.show(content, style, ownHeading, ownCaption);
    const { photo } = content.background;
    element.style.setProperty("--aspect", String(photo.width / photo.height));
    drawContent(canvas, photo, content, style);
    boxes.update(content, hasAllBoxes);
    canvas.setAttribute("aria-label", ariaLabel(content));
    if (!mark.hidden) {
      value.textContent = valueText();
    }
  }

  function ariaLabel(content) {
    const { input, label = "" } = content.background;
    const summary = content.warning ?? describePeak(content.heatmap);
    const name = [image.name, input, label].filter(Boolean).join(", ");
    return `${name}: ${content.title}; ${content.detail}; ${summary}`;
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

  return { element, show, setZoom, scrollTo, point: boxes.point };
}

/** Draws the pane again, at the full size of the photo, with the frame of the detection. */
function drawFullSize({ content, style }) {
  const canvas = document.createElement("canvas");
  drawContent(canvas, photoPixels(content.background.bitmap), content, style);
  drawFrames(canvas, content);
  return canvas;
}
