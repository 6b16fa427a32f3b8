/** The ranked list of what can be asked: each class with its probability as a bar. */

import { make } from "./dom.js";
import { percent } from "./numbers.js";
import { keyOf, targetsOf } from "./pane_contents.js";

const MOVES = { ArrowDown: 1, ArrowUp: -1 };

/**
 * Makes the list of an image's targets, and of those of the first predictions that were not explained; both as the
 * model says of the maps at `position`.
 *
 * `on` has `point(key)`, for hovering and for the arrow keys; `leave()`, when the pointer leaves the list; and
 * `pin(key)`, for a click, Enter or Space.
 */
export function makeList(image, position, on) {
  const buttons = new Map();
  const rows = rowsOf(image, position).map(([row, isExplained]) => {
    if (!isExplained) {
      return make("li", {}, ...contents(row, "not explained", "plain"));
    }
    const key = keyOf(row);
    const button = make(
      "button",
      {
        type: "button",
        tabindex: -1,
        "aria-pressed": "false",
        onpointerenter: () => on.point(key),
        onfocus: () => on.point(key),
        onclick: () => on.pin(key),
      },
      ...contents(row, "pinned", "pin"),
    );
    buttons.set(key, button);
    return make("li", {}, button);
  });
  const list = make("ol", { onpointerleave: () => on.leave(), onkeydown: move }, ...rows);

  function move(event) {
    const all = [...buttons.values()];
    const here = all.indexOf(document.activeElement);
    const ends = { Home: 0, End: all.length - 1 };
    if (here !== -1 && (event.key in MOVES || event.key in ends)) {
      event.preventDefault();
      const to = ends[event.key] ?? Math.min(Math.max(here + MOVES[event.key], 0), all.length - 1);
      all[to].focus();
    }
  }

  /** Marks which targets are shown and which are pinned. */
  function show(shown, pinned) {
    for (const [key, button] of buttons) {
      button.classList.toggle("shown", shown.includes(key));
      button.setAttribute("aria-pressed", String(pinned.includes(key)));
      button.tabIndex = key === shown[0] ? 0 : -1;
    }
  }

  return { element: list, show };
}

/** Returns what is listed, as [target or prediction, whether it was explained]. */
function rowsOf(image, position) {
  const targets = targetsOf(image, position);
  const known = new Set(targets.map(keyOf));
  const others = image.maps[position].predictions.filter((prediction) => !known.has(keyOf(prediction)));
  const rows = [...targets.map((target) => [target, true]), ...others.map((prediction) => [prediction, false])];
  return rows.sort(([a], [b]) => (b.probability ?? -1) - (a.probability ?? -1));
}

function contents(row, note, noteClass) {
  const bar = make("span", { class: "bar", "aria-hidden": true });
  bar.style.width = `${100 * (row.probability ?? 0)}%`;
  return [
    bar,
    make("span", { class: "name" }, row.name),
    make("span", { class: noteClass }, note),
    make("span", { class: "probability" }, percent(row.probability)),
  ];
}
