/** What the panes of images and signals share: heading, space for the image, colour bar, caption, and saving. */

import { createElement } from "./dom.js";
import { colorGradient } from "./renderer.js";

/**
 * Creates the frame of a pane around an element that is drawn on; `onsave()` is called when the reader saves it. Returns
 * {element, scroller, value, show, heading, caption}: the element that scrolls it, the output over it, and what was given
 * to `show` last.
 */
export function createPaneFrame(drawn, onsave) {
  const title = createElement("h3", {});
  const detail = createElement("p", { class: "detail" });
  const heading = createElement("figcaption", {}, title, detail);
  const value = createElement("output", { class: "value", hidden: true }); // over the image, which it cannot move
  const scroller = createElement("div", { class: "scroller" }, drawn);
  const caption = createElement("p", { class: "caption" });
  const legend = createLegend();
  const save = createElement("button", { type: "button", onclick: onsave }, "Save as PNG");
  const foot = createElement("div", { class: "foot" }, legend.element, save);
  const stage = createElement("div", { class: "stage" }, scroller, value);
  const element = createElement("figure", { class: "pane" }, heading, stage, foot, caption);
  let given = { heading: null, caption: null };

  /** Shows the heading and the caption of the pane (captions.js), or null, and the colour bar of a content. */
  function show(content, style, ownHeading, ownCaption) {
    given = { heading: ownHeading, caption: ownCaption };
    heading.hidden = ownHeading === null;
    title.textContent = ownHeading?.title ?? "";
    detail.textContent = ownHeading?.detail ?? "";
    caption.textContent = ownCaption ?? "";
    caption.hidden = ownCaption === null;
    caption.classList.toggle("warning", content.warning !== null);
    legend.update(content, style);
    save.disabled = content.heatmap === null;
  }

  return { element, scroller, value, show, heading: () => given.heading, caption: () => given.caption };
}

/** Saves a canvas as the background of a content, named by the image. */
export function saveCanvas(image, content, canvas) {
  canvas.toBlob((blob) => {
    const href = URL.createObjectURL(blob);
    createElement("a", { href, download: fileName(image, content) }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }, "image/png");
}

function fileName(image, content) {
  const stem = image.name.replace(/\.[^., ]*(?=, |$)/g, "");
  const { input, label = "" } = content.background;
  return `${[stem, input, label, content.method, content.name].filter(Boolean).join("_").replace(/[^\p{L}\p{N}+.-]+/gu, "_")}.png`;
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
