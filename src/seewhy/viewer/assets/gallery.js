/** Many images: small ones to look through, each of which can be opened. */

import { lookOf } from "./controls.js";
import { make, makeSelect } from "./dom.js";
import { draw } from "./painting.js";
import { loadPhoto, pixelsOf, withCells } from "./photos.js";
import { captionOf, classesOf, CONFIDENCES, firstCriteria, ORDERS, selected, VERDICTS } from "./gallery_filter.js";
import { keyOf, subjectsOf } from "./pane_contents.js";

const SMALL_PIXELS = 40_000;
const AHEAD = "300px";

/**
 * Makes a gallery. `whole(position)` promises an image's whole entry, `open(position, order)` is told which image
 * was chosen among which. Small images are drawn when they are about to be seen. `destroy` stops that.
 */
export function makeGallery(images, tables, settings, whole, open) {
  const criteria = firstCriteria();
  const count = make("p", { class: "note", role: "status" });
  const openAmong = (position) => open(position, selected(images, criteria));
  const cards = images.map((image, position) => makeCard(image, () => openAmong(position)));
  const list = make("ul", { class: "cards" });
  const filters = makeFilters(images, filter);
  const element = make("section", { class: "gallery", "aria-label": "Images" }, filters, count, list);
  const wanted = new Set();
  let isDrawing = false;
  const observer = new IntersectionObserver(want, { rootMargin: AHEAD });
  cards.forEach((card) => observer.observe(card));

  function filter(changed) {
    Object.assign(criteria, changed);
    const found = selected(images, criteria);
    list.replaceChildren(...found.map((position) => cards[position]));
    count.textContent = `${found.length} of ${images.length} images`;
  }

  function want(entries) {
    entries.forEach((entry) => (entry.isIntersecting ? wanted.add(entry.target) : wanted.delete(entry.target)));
    drawWanted();
  }

  /** Draws what is to be seen, one in each frame, so that scrolling goes on; what was scrolled past does not wait. */
  async function drawWanted() {
    if (isDrawing) {
      return;
    }
    isDrawing = true;
    while (wanted.size > 0) {
      const [card] = wanted;
      wanted.delete(card);
      observer.unobserve(card);
      await drawSmall(card);
      await new Promise(requestAnimationFrame);
    }
    isDrawing = false;
  }

  async function drawSmall(card) {
    const position = cards.indexOf(card);
    try {
      const image = withCells(await whole(position));
      const photo = pixelsOf(await loadPhoto(image), SMALL_PIXELS);
      const canvas = card.querySelector("canvas");
      canvas.width = photo.width;
      canvas.height = photo.height;
      const first = keyOf(image.maps[0].targets[0]);
      const [subject] = subjectsOf(image, { current: first, pinned: [], maps: 0 });
      draw(canvas.getContext("2d"), photo, subject.map, lookOf({ ...settings, mode: "overlay" }, false, tables));
      card.dataset.drawn = "true";
    } catch (error) {
      card.querySelector("canvas").replaceWith(make("span", { class: "warning" }, error.message));
    }
  }

  filter({});
  return {
    element,
    focus: (position) => cards[position].querySelector("button").focus(),
    destroy: () => {
      observer.disconnect();
      wanted.clear();
    },
  };
}

function makeCard(image, onopen) {
  const verdict = { true: "right", false: "wrong" }[image.correct];
  const canvas = make("canvas", { "aria-hidden": true });
  canvas.width = image.width; // of the right shape before it is drawn, so that nothing moves
  canvas.height = image.height;
  const button = make(
    "button",
    { type: "button", onclick: onopen },
    make("span", { class: "thumb" }, canvas),
    make("span", { class: "name" }, image.name),
    make("span", { class: "taken" }, captionOf(image)),
    image.label === null ? null : make("span", { class: `label ${verdict ?? ""}` }, `is: ${image.label}`),
    verdict === undefined ? null : make("span", { class: `verdict ${verdict}` }, verdict),
  );
  return make("li", { class: "card" }, button);
}

function makeFilters(images, filter) {
  const classes = [["", "All"], ...classesOf(images).map((name) => [name, name])];
  const search = make("input", { type: "search", oninput: (event) => filter({ search: event.target.value }) });
  const isJudged = images.some((image) => image.correct !== null);
  const orders = ORDERS.filter(([order]) => isJudged || order !== "wrong");
  return make(
    "div",
    { class: "filters", role: "search" },
    make("label", { class: "field" }, make("span", {}, "Search names and classes"), search),
    makeSelect("Order", orders, "given", (order) => filter({ order })),
    makeSelect("Taken for", classes, "", (name) => filter({ name })),
    makeSelect("Confidence", CONFIDENCES, "any", (confidence) => filter({ confidence })),
    isJudged ? makeSelect("Right or wrong", VERDICTS, "any", (verdict) => filter({ verdict })) : null,
  );
}
