/** One image: its panes, its list of classes, and the controls. */

import { lookOf, makeControls } from "./controls.js";
import { make } from "./dom.js";
import { makePane } from "./pane.js";
import { loadPhoto, pixelsOf, SHOWN_PIXELS, withCells } from "./photos.js";
import { makeList } from "./predictions.js";
import { keyOf, subjectsOf } from "./pane_contents.js";

/**
 * Makes the view of an image.
 *
 * Args: the image's entry in the document, the colour tables by name, and the settings (controls.js), which stay the
 * reader's own from image to image. Returns a promise of the element, once it is drawn.
 */
export async function makeImageView(entry, tables, settings) {
  const image = withCells(entry);
  const bitmap = await loadPhoto(image);
  const photo = pixelsOf(bitmap, SHOWN_PIXELS);
  const choice = { current: keyOf(image.maps[0].targets[0]), pinned: [], maps: 0 };
  const panes = [];
  const stages = make("div", { class: "panes" });
  const lists = image.maps.map((_, position) => makeList(image, position, { point, leave, pin }));
  const controls = makeControls(image, settings, render, (maps) => {
    choice.maps = maps;
    render();
  });
  const side = make(
    "div",
    { class: "side" },
    make("h3", {}, "Predictions"),
    make("p", { class: "note" }, "Hover, or use ↑ and ↓, to see the evidence. Click or Enter pins; pin two to compare."),
    ...lists.map((list) => list.element),
    controls.element,
  );
  const element = make("section", { class: "image", "aria-label": image.name }, heading(image), stages, side);

  function point(key) {
    choice.current = key;
    render();
  }

  function leave() {
    if (choice.pinned.length > 0) {
      choice.current = null;
      render();
    }
  }

  function pin(key) {
    const isPinned = choice.pinned.includes(key);
    choice.pinned = isPinned ? choice.pinned.filter((each) => each !== key) : [...choice.pinned, key].slice(-2);
    choice.current = key;
    render();
  }

  function render() {
    const subjects = subjectsOf(image, { ...choice, ...settings });
    while (panes.length < subjects.length) {
      panes.push(makePane(image, photo, bitmap));
    }
    panes.length = subjects.length;
    if (stages.childElementCount !== panes.length) {
      stages.replaceChildren(...panes.map((pane) => pane.element));
      stages.dataset.count = String(Math.min(panes.length, 3));
    }
    subjects.forEach((subject, position) => {
      panes[position].show(subject, lookOf(settings, subject.map?.signed, tables));
    });
    const shown = choice.pinned.length === 2 ? choice.pinned : [choice.current ?? choice.pinned[0]];
    lists.forEach((list, position) => {
      list.element.hidden = position !== choice.maps;
      list.show(shown, choice.pinned);
    });
    controls.show(choice.pinned, subjects.every((subject) => subject.map?.signed));
  }

  render();
  return element;
}

function heading(image) {
  const header = make("header", {}, make("h2", {}, image.name));
  if (image.label !== null) {
    const taken = image.correct === false ? `, and taken for ${image.predictions[0].name}` : "";
    const text = `Known to be ${image.label}${taken}`;
    header.append(make("p", { class: image.correct === false ? "label wrong" : "label" }, text));
  }
  return header;
}
