/** One heatmap on its photo: the canvas, the caption, the value under the pointer, and saving it. */

import { createElement } from "./dom.js";
import { formatValue } from "./numbers.js";
import { colorGradient, draw } from "./renderer.js";
import { photoPixels } from "./photos.js";
import { valueAt } from "./placement.js";
import { describePeak, isCropped } from "./pane_contents.js";

const KEY_STEP = 1 / 40;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const POINT_HINT = "Point at the image, or focus it and use the arrow keys, to read values.";

/** Creates a pane of an image. `photo` is {width, height, pixels}, `bitmap` the loaded photo at its full size. */
export function createPane(image, photo, bitmap) {
  const title = createElement("h3", {});
  const detail = createElement("p", { class: "detail" });
  const canvas = createElement("canvas", { tabindex: 0, role: "img" });
  canvas.width = photo.width;
  canvas.height = photo.height;
  const mark = createElement("span", { class: "mark", hidden: true });
  const value = createElement("output", { class: "value" }, POINT_HINT);
  const caption = createElement("p", { class: "caption" });
  const legend = createLegend();
  const save = createElement("button", { type: "button", onclick: savePng }, "Save as PNG");
  const element = createElement(
    "figure",
    { class: "pane" },
    createElement("figcaption", {}, title, detail),
    createElement("div", { class: "stage" }, canvas, mark),
    createElement("div", { class: "foot" }, legend.element, save),
    value,
    caption,
  );
  element.style.setProperty("--aspect", String(photo.width / photo.height));
  let shown = null; // {content, style}
  let pointer = { x: 0.5, y: 0.5 };

  canvas.addEventListener("pointermove", (event) => {
    const bounds = canvas.getBoundingClientRect();
    pointAt((event.clientX - bounds.left) / bounds.width, (event.clientY - bounds.top) / bounds.height);
  });
  canvas.addEventListener("pointerleave", hideValue);
  canvas.addEventListener("blur", hideValue);
  canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) {
      event.preventDefault();
      const [right, down] = ARROWS[event.key];
      pointAt(pointer.x + right * KEY_STEP, pointer.y + down * KEY_STEP);
    }
  });

  function pointAt(x, y) {
    pointer = { x: Math.min(Math.max(x, 0), 0.9999), y: Math.min(Math.max(y, 0), 0.9999) };
    mark.hidden = false;
    mark.style.left = `${100 * pointer.x}%`;
    mark.style.top = `${100 * pointer.y}%`;
    value.textContent = valueText();
  }

  function hideValue() {
    mark.hidden = true;
    value.textContent = POINT_HINT;
  }

  function valueText() {
    const [x, y] = [pointer.x * image.width, pointer.y * image.height];
    const position = `At ${Math.floor(x)}, ${Math.floor(y)}: `;
    const { heatmap, rawHeatmap, peak } = shown.content;
    const raw = heatmap && valueAt(rawHeatmap, y, x);
    if (raw === null) {
      return `${position}the model did not see this part.`;
    }
    const percent = peak > 0 ? `, ${Math.round((100 * raw) / peak)} % of the peak` : "";
    return `${position}${formatValue(raw)}${percent}`;
  }

  /** Shows a content (pane_contents.js) in a style (renderer.js). */
  function show(content, style) {
    shown = { content, style };
    title.textContent = content.title;
    detail.textContent = content.detail;
    const context = canvas.getContext("2d");
    if (content.heatmap === null) {
      context.putImageData(new ImageData(new Uint8ClampedArray(photo.pixels), photo.width, photo.height), 0, 0);
    } else {
      draw(context, photo, content.heatmap, style);
    }
    canvas.setAttribute("aria-label", ariaLabel(content));
    caption.textContent = content.warning ?? captionText(content, style);
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

  function savePng() {
    drawFullSize(bitmap, shown).toBlob((blob) => {
      const href = URL.createObjectURL(blob);
      createElement("a", { href, download: fileName(image, shown.content) }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
    }, "image/png");
  }

  return { element, show };
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

function captionText(content, style) {
  const threshold = `${Math.round(100 * style.threshold)} % of the peak`;
  const modeText = {
    contour: `Contour lines join places of equal value, from ${threshold} upwards. `,
    box: `Boxes surround connected regions of at least ${threshold}; the thick one surrounds the largest region. `,
  };
  const cropText = isCropped(content.heatmap) ? " Nothing is known about the part that the model did not see." : "";
  return (modeText[style.mode] ?? "") + content.caption + cropText;
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
