/** Many pictures: small ones to look through, each of which can be opened. */

import { lookOf } from "./controls.js";
import { make, makeSelect } from "./dom.js";
import { draw } from "./painting.js";
import { loadPhoto, pixelsOf, withCells } from "./photos.js";
import { captionOf, classesOf, CONFIDENCES, firstCriteria, ORDERS, selected, VERDICTS } from "./gallery_filter.js";
import { keyOf, subjectsOf } from "./pane_contents.js";

const SMALL_PIXELS = 40_000;
const AHEAD = "300px";

/**
 * Makes a gallery. `whole(position)` promises a picture's whole entry, `open(position, order)` is told which picture
 * was chosen among which. Small pictures are drawn when they are about to be seen. `destroy` stops that.
 */
export function makeGallery(pictures, tables, settings, whole, open) {
  const criteria = firstCriteria();
  const count = make("p", { class: "note", role: "status" });
  const openAmong = (position) => open(position, selected(pictures, criteria));
  const cards = pictures.map((picture, position) => makeCard(picture, () => openAmong(position)));
  const list = make("ul", { class: "cards" });
  const filters = makeFilters(pictures, filter);
  const element = make("section", { class: "gallery", "aria-label": "Pictures" }, filters, count, list);
  const wanted = new Set();
  let isDrawing = false;
  const observer = new IntersectionObserver(want, { rootMargin: AHEAD });
  cards.forEach((card) => observer.observe(card));

  function filter(changed) {
    Object.assign(criteria, changed);
    const found = selected(pictures, criteria);
    list.replaceChildren(...found.map((position) => cards[position]));
    count.textContent = `${found.length} of ${pictures.length} pictures`;
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
      const picture = withCells(await whole(position));
      const photo = pixelsOf(await loadPhoto(picture), SMALL_PIXELS);
      const canvas = card.querySelector("canvas");
      canvas.width = photo.width;
      canvas.height = photo.height;
      const first = keyOf(picture.maps[0].targets[0]);
      const [subject] = subjectsOf(picture, { current: first, pinned: [], maps: 0 });
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

function makeCard(picture, onopen) {
  const verdict = { true: "right", false: "wrong" }[picture.correct];
  const canvas = make("canvas", { "aria-hidden": true });
  canvas.width = picture.width; // of the right shape before it is drawn, so that nothing moves
  canvas.height = picture.height;
  const button = make(
    "button",
    { type: "button", onclick: onopen },
    make("span", { class: "thumb" }, canvas),
    make("span", { class: "name" }, picture.name),
    make("span", { class: "taken" }, captionOf(picture)),
    picture.label === null ? null : make("span", { class: `label ${verdict ?? ""}` }, `is: ${picture.label}`),
    verdict === undefined ? null : make("span", { class: `verdict ${verdict}` }, verdict),
  );
  return make("li", { class: "card" }, button);
}

function makeFilters(pictures, filter) {
  const classes = [["", "All"], ...classesOf(pictures).map((name) => [name, name])];
  const search = make("input", { type: "search", oninput: (event) => filter({ search: event.target.value }) });
  const isJudged = pictures.some((picture) => picture.correct !== null);
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
