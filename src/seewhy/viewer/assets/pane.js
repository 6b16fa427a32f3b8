/** One map on its photo: the canvas, what is said of it, the value under the cursor, and saving it. */

import { make } from "./dom.js";
import { short } from "./numbers.js";
import { draw, gradientOf } from "./painting.js";
import { pixelsOf } from "./photos.js";
import { valueAt } from "./placing.js";
import { isCropped, whereStrongest } from "./pane_contents.js";

const STEP = 1 / 40;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const POINT_HINT = "Point at the image, or focus it and use the arrow keys, to read values.";

/** Makes a pane of an image. `photo` is {width, height, pixels}, `bitmap` the loaded photo at its full size. */
export function makePane(image, photo, bitmap) {
  const title = make("h3", {});
  const detail = make("p", { class: "detail" });
  const canvas = make("canvas", { tabindex: 0, role: "img" });
  canvas.width = photo.width;
  canvas.height = photo.height;
  const mark = make("span", { class: "mark", hidden: true });
  const value = make("output", { class: "value" }, POINT_HINT);
  const reading = make("p", { class: "reading" });
  const legend = makeLegend();
  const save = make("button", { type: "button", onclick: () => saveShown() }, "Save as PNG");
  const stage = make("div", { class: "stage" }, canvas, mark);
  const foot = make("div", { class: "foot" }, legend.element, save);
  const element = make("figure", { class: "pane" }, make("figcaption", {}, title, detail), stage, foot, value, reading);
  element.style.setProperty("--aspect", String(photo.width / photo.height));
  let shown = null;
  let place = { x: 0.5, y: 0.5 };

  canvas.addEventListener("pointermove", (event) => {
    const bounds = canvas.getBoundingClientRect();
    probe((event.clientX - bounds.left) / bounds.width, (event.clientY - bounds.top) / bounds.height);
  });
  canvas.addEventListener("pointerleave", unprobe);
  canvas.addEventListener("blur", unprobe);
  canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) {
      event.preventDefault();
      const [right, down] = ARROWS[event.key];
      probe(place.x + right * STEP, place.y + down * STEP);
    }
  });

  function probe(x, y) {
    place = { x: Math.min(Math.max(x, 0), 0.9999), y: Math.min(Math.max(y, 0), 0.9999) };
    mark.hidden = false;
    mark.style.left = `${100 * place.x}%`;
    mark.style.top = `${100 * place.y}%`;
    value.textContent = valueText();
  }

  function unprobe() {
    mark.hidden = true;
    value.textContent = POINT_HINT;
  }

  function valueText() {
    const at = { x: place.x * image.width, y: place.y * image.height };
    const where = `At ${Math.floor(at.x)}, ${Math.floor(at.y)}: `;
    const found = shown.subject.map && valueAt(shown.subject.raw, at.y, at.x);
    if (found === null) {
      return `${where}the model did not see this part.`;
    }
    const share = shown.subject.peak > 0 ? `, ${Math.round((100 * found) / shown.subject.peak)} % of the peak` : "";
    return `${where}${short(found)}${share}`;
  }

  /** Shows a subject (subjects.js) as a look (painting.js) says. */
  function show(subject, look) {
    shown = { subject, look };
    title.textContent = subject.title;
    detail.textContent = subject.detail;
    const context = canvas.getContext("2d");
    if (subject.map === null) {
      context.putImageData(new ImageData(new Uint8ClampedArray(photo.pixels), photo.width, photo.height), 0, 0);
    } else {
      draw(context, photo, subject.map, look);
    }
    canvas.setAttribute("aria-label", describe(subject));
    reading.textContent = subject.nothing ?? sentenceOf(subject, look);
    reading.classList.toggle("warning", subject.nothing !== null);
    legend.show(subject, look);
    save.disabled = subject.map === null;
    if (!mark.hidden) {
      value.textContent = valueText();
    }
  }

  function describe(subject) {
    const found = subject.nothing ?? `strongest ${whereStrongest(subject.map)}`;
    return `${image.name}: ${subject.title}; ${subject.detail}; ${found}`;
  }

  function saveShown() {
    const full = makeFull(bitmap, shown);
    full.toBlob((blob) => {
      const link = make("a", { href: URL.createObjectURL(blob), download: fileName(image, shown.subject) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, "image/png");
  }

  return { element, show };
}

/** Draws what is shown once more, at the photo's own size. */
function makeFull(bitmap, { subject, look }) {
  const photo = pixelsOf(bitmap);
  const canvas = document.createElement("canvas");
  canvas.width = photo.width;
  canvas.height = photo.height;
  draw(canvas.getContext("2d"), photo, subject.map, look);
  return canvas;
}

function fileName(image, subject) {
  const stem = image.name.replace(/\.[^.]*$/, "");
  return `${[stem, subject.method, subject.name].join("_").replace(/[^\p{L}\p{N}+.-]+/gu, "_")}.png`;
}

function sentenceOf(subject, look) {
  const share = `${Math.round(100 * look.threshold)} % of the peak`;
  const marks = {
    contour: `Lines join places of equal value, from ${share} upwards. `,
    box: `Boxes hold the connected places with at least ${share}; the thick one the largest of them. `,
  };
  const crop = isCropped(subject.map) ? " Nothing is claimed of the part that the model did not see." : "";
  return (marks[look.mode] ?? "") + subject.reading + crop;
}

/** Makes the bar that says which value has which colour. */
function makeLegend() {
  const bar = make("span", { class: "bar", "aria-hidden": true });
  const low = make("span", {});
  const high = make("span", {});
  const element = make("div", { class: "legend" }, low, bar, high);

  function show(subject, look) {
    element.hidden = subject.map === null;
    if (subject.map !== null) {
      bar.style.background = gradientOf(look.table);
      low.textContent = subject.low;
      high.textContent = subject.high;
    }
  }

  return { element, show };
}
