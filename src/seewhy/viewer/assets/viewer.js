/**
 * The viewer: shows explanations in an element of a page.
 *
 *     import { mount } from "./viewer.js";
 *     const viewer = mount(element, data, options);
 *     viewer.update(data);   // shows other explanations, and keeps opacity, colours and the other display options
 *     viewer.destroy();      // removes everything from the element
 *
 * `data` is what `seewhy.viewer.viewer_data.viewer_data` returns; that module defines its format. A single image is
 * shown directly, several as a gallery from which each can be opened. The viewer fetches nothing and sends nothing. The
 * page must load `viewer.css` too, all of whose rules apply to `.seewhy`, and to pages with the class `seewhy-colors`.
 *
 * Options:
 *   load(position)  Returns the full entry of an image that was given as its summary alone, or a promise of it.
 *   display         Display options that differ from `defaultDisplay` (controls.js), such as {sideBySide: true}.
 *   heading         Whether a single image has its name as a heading; false if the host has a headline of its own.
 *   gallery         "plain" shows a gallery without filters, also of a single image: the host filters images itself.
 *
 * The element gets the class `seewhy`. It dispatches `seewhy-ready` when the first view is drawn, and `seewhy-error`,
 * with the reason in `detail`, when a photo cannot be shown; the reader sees the reason as well.
 */

import { defaultDisplay } from "./controls.js";
import { createElement } from "./dom.js";
import { createGallery } from "./gallery.js";
import { decodeColormaps } from "./photos.js";
import { createImageView } from "./image_view.js";

const NARROW_WIDTH = 800;

/** Shows explanations in an element. */
export function mount(element, data, options = {}) {
  checkFormat(data);
  const display = { ...defaultDisplay(data.style), ...options.display };
  let view = { destroy: () => {} };

  function update(newData) {
    checkFormat(newData);
    view.destroy();
    const mountView = newData.images.length === 1 && options.gallery !== "plain" ? mountImage : mountGallery;
    view = mountView(element, newData, display, options);
  }

  function destroy() {
    sizeObserver.disconnect();
    view.destroy();
    element.replaceChildren();
    element.classList.remove("seewhy", "narrow");
  }

  element.classList.add("seewhy");
  const sizeObserver = observeWidth(element);
  update(data);
  return { update, destroy };
}

/** Keeps the class `narrow` on an element while there is no space for a list beside the image, in any host. */
function observeWidth(element) {
  const update = () => element.classList.toggle("narrow", element.clientWidth < NARROW_WIDTH);
  update();
  const observer = new ResizeObserver(update);
  observer.observe(element);
  return observer;
}

function checkFormat(data) {
  if (data?.format !== "seewhy-viewer" || data.version !== 1 || !data.images?.length) {
    throw new Error('Expected the data of SeeWhy\'s viewer: format "seewhy-viewer", version 1, at least one image.');
  }
}

/** Returns a function that promises the full entry of an image, from the data or from the host. */
function entryLoader(data, options) {
  return async (position) => {
    const image = data.images[position];
    return image.explanations ? image : options.load(position);
  };
}

function mountImage(element, data, display, options) {
  const frame = createElement("div", {});
  element.replaceChildren(frame);
  const loadEntry = entryLoader(data, options);
  const viewOptions = { display, hasHeading: options.heading ?? true };
  return { destroy: openImage(frame, loadEntry(0), decodeColormaps(data), viewOptions).cancel };
}

/** Shows the view of an image in a frame, once its entry is there, unless it is cancelled before. */
function openImage(frame, entry, colormaps, viewOptions) {
  let isCancelled = false;

  function show(content, event, detail) {
    if (!isCancelled) {
      frame.replaceChildren(content);
      dispatch(frame, event, detail);
    }
  }

  frame.replaceChildren(createElement("p", { class: "note", role: "status" }, "Loading…"));
  entry
    .then((image) => createImageView(image, colormaps, viewOptions))
    .then(
      (view) => show(view, "seewhy-ready"),
      (error) => show(createAlert(error), "seewhy-error", error.message),
    );
  return { cancel: () => (isCancelled = true) };
}

function createAlert(error) {
  return createElement("p", { class: "warning", role: "alert" }, error.message);
}

function dispatch(frame, name, detail = null) {
  frame.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}

function mountGallery(element, data, display, options) {
  const colormaps = decodeColormaps(data);
  const loadEntry = entryLoader(data, options);
  const frame = createElement("div", { hidden: true });
  const positionText = createElement("span", { class: "note", role: "status" });
  const gallery = createGallery(data.images, colormaps, display, loadEntry, open, options.gallery !== "plain");
  const turnBy = (step) => () => open(order[order.indexOf(current) + step], order);
  const [previous, next] = [["‹ Previous", -1], ["Next ›", 1]].map(([text, step]) =>
    createElement("button", { type: "button", onclick: turnBy(step) }, text),
  );
  const back = createElement("button", { type: "button", onclick: close }, "All images");
  const navAttributes = { class: "navigation", "aria-label": "Images", hidden: true };
  const navigation = createElement("nav", navAttributes, back, previous, next, positionText);
  let order = [];
  let current = 0;
  let opening = null;

  function open(position, newOrder) {
    [current, order] = [position, newOrder];
    opening?.cancel();
    const rank = order.indexOf(position);
    [previous.disabled, next.disabled] = [rank === 0, rank === order.length - 1];
    positionText.textContent = `${rank + 1} of ${order.length}`;
    [gallery.element.hidden, frame.hidden, navigation.hidden] = [true, false, false];
    opening = openImage(frame, loadEntry(position), colormaps, { display, hasHeading: true });
    if (!navigation.contains(navigation.ownerDocument.activeElement)) {
      back.focus();
    }
  }

  function close() {
    opening.cancel();
    [gallery.element.hidden, frame.hidden, navigation.hidden] = [false, true, true];
    frame.replaceChildren();
    gallery.focus(current);
  }

  function closeOnEscape(event) {
    if (event.key === "Escape" && !navigation.hidden) {
      close();
    }
  }

  element.addEventListener("keydown", closeOnEscape);
  element.replaceChildren(navigation, frame, gallery.element);
  dispatch(element, "seewhy-ready");
  return {
    destroy: () => {
      opening?.cancel();
      gallery.destroy();
      element.removeEventListener("keydown", closeOnEscape);
    },
  };
}
