/**
 * The viewer: a document of explanations in, an element of the page out.
 *
 *     import { mount } from "./viewer.js";
 *     const viewer = mount(element, document, options);
 *     viewer.update(document);   // shows another document; opacity, colours and so on stay as they were set
 *     viewer.destroy();          // takes everything out of the element again
 *
 * The document is what `seewhy.viewer.document.document_of` returns; its format stands in that module. One image is
 * shown by itself, several as a gallery from which each can be opened. Nothing is fetched, and nothing leaves the page.
 * The page has to load `viewer.css` too, in which every rule is about `.seewhy`.
 *
 * Options:
 *   load(position)  Returns the whole of an image that came without `photo` and `maps`, or a promise of it.
 *   settings        What is set at first, where it is not as in `firstSettings` (controls.js): {all: true}.
 *
 * The element gets the class `seewhy`, and the events `seewhy-ready`, when all that is to be seen at first is drawn,
 * and `seewhy-error`, with the reason in `detail`, when a photo cannot be shown; it is told to the reader as well.
 */

import { firstSettings } from "./controls.js";
import { make } from "./dom.js";
import { makeGallery } from "./gallery.js";
import { tablesOf } from "./photos.js";
import { makeImageView } from "./image.js";

/** Shows a document in an element. */
export function mount(element, content, options = {}) {
  const settings = { ...firstSettings(), ...options.settings };
  let shown = { destroy: () => {} };

  function update(given) {
    check(given);
    shown.destroy();
    const showIt = given.images.length === 1 ? showOne : showMany;
    shown = showIt(element, given, settings, options);
  }

  function destroy() {
    shown.destroy();
    element.replaceChildren();
    element.classList.remove("seewhy");
  }

  element.classList.add("seewhy");
  update(content);
  return { update, destroy };
}

function check(content) {
  if (content?.format !== "seewhy-viewer" || content.version !== 1 || !content.images?.length) {
    throw new Error("This is no document of SeeWhy's viewer, version 1, with at least one image.");
  }
}

/** Returns a function that promises the whole of an image: the document's own entry, or what the host loads. */
function wholeOf(content, options) {
  return async (position) => {
    const image = content.images[position];
    return image.maps ? image : options.load(position);
  };
}

function showOne(element, content, settings, options) {
  const frame = make("div", {});
  element.replaceChildren(frame);
  const opening = openIn(frame, () => wholeOf(content, options)(0), tablesOf(content), settings);
  return { destroy: opening.cancel };
}

/** Puts the view of an image into a frame, unless it is cancelled before. */
function openIn(frame, whole, tables, settings) {
  let isWanted = true;
  frame.replaceChildren(make("p", { class: "note", role: "status" }, "Opening…"));
  const opened = whole()
    .then((image) => makeImageView(image, tables, settings))
    .then(
      (view) => isWanted && (frame.replaceChildren(view), tell(frame, "seewhy-ready")),
      (error) => isWanted && (frame.replaceChildren(alarm(error)), tell(frame, "seewhy-error", error.message)),
    );
  return { opened, cancel: () => (isWanted = false) };
}

function alarm(error) {
  return make("p", { class: "warning", role: "alert" }, error.message);
}

function tell(frame, name, detail = null) {
  frame.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}

function showMany(element, content, settings, options) {
  const tables = tablesOf(content);
  const whole = wholeOf(content, options);
  const frame = make("div", { hidden: true });
  const place = make("span", { class: "note", role: "status" });
  const gallery = makeGallery(content.images, tables, settings, whole, open);
  const turn = (step) => () => open(order[order.indexOf(current) + step], order);
  const [before, after] = [["‹ Previous", -1], ["Next ›", 1]].map(([text, step]) =>
    make("button", { type: "button", onclick: turn(step) }, text),
  );
  const back = make("button", { type: "button", onclick: close }, "All images");
  const bar = make("nav", { class: "turn", "aria-label": "Images", hidden: true }, back, before, after, place);
  let order = [];
  let current = 0;
  let opening = null;

  function open(position, among) {
    [current, order] = [position, among];
    opening?.cancel();
    const number = order.indexOf(position);
    [before.disabled, after.disabled] = [number === 0, number === order.length - 1];
    place.textContent = `${number + 1} of ${order.length}`;
    [gallery.element.hidden, frame.hidden, bar.hidden] = [true, false, false];
    opening = openIn(frame, () => whole(position), tables, settings);
    if (!bar.contains(bar.ownerDocument.activeElement)) {
      back.focus();
    }
  }

  function close() {
    opening.cancel();
    [gallery.element.hidden, frame.hidden, bar.hidden] = [false, true, true];
    frame.replaceChildren();
    gallery.focus(current);
  }

  function closeByKey(event) {
    if (event.key === "Escape" && !bar.hidden) {
      close();
    }
  }

  element.addEventListener("keydown", closeByKey);
  element.replaceChildren(bar, frame, gallery.element);
  tell(element, "seewhy-ready");
  return {
    destroy: () => {
      opening?.cancel();
      gallery.destroy();
      element.removeEventListener("keydown", closeByKey);
    },
  };
}
