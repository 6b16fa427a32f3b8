/** Zooming: how much larger than the space for it an image is shown, which then scrolls. */

import { createElement } from "./dom.js";

const STEP = 2;
const MIN_LARGEST = 8;

/** Creates the zoom buttons of an image of a certain aspect ratio; `onzoom` receives the new factor, 1 or more. */
export function createZoom(aspect, onzoom) {
  const largest = Math.max(MIN_LARGEST, STEP ** Math.ceil(Math.log2(2 * Math.max(aspect, 1 / aspect))));
  const output = createElement("output", { "aria-label": "Zoom" });
  const [smaller, larger] = [["−", "Zoom out", 1 / STEP], ["+", "Zoom in", STEP]].map(([text, label, factor]) =>
    createElement("button", { type: "button", "aria-label": label, onclick: () => set(zoom * factor) }, text),
  );
  const element = createElement("div", { class: "zoom" }, smaller, output, larger);
  let zoom = 1;

  function set(newZoom) {
    zoom = Math.min(Math.max(newZoom, 1), largest);
    output.textContent = `${100 * zoom}%`;
    [smaller.disabled, larger.disabled] = [zoom === 1, zoom === largest];
    onzoom(zoom);
  }

  set(1);
  return element;
}
