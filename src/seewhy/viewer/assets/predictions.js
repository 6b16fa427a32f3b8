/** The ranked list of classes: each with its probability as a bar. */

import { createElement } from "./dom.js";
import { formatPercent } from "./numbers.js";
import { allTargets, targetKey } from "./pane_contents.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/**
 * Creates the list of an image's targets, and of its top predictions that were not explained, with the probabilities of
 * the explanation at `position`.
 *
 * The callbacks are `onpoint(key)`, for hovering and for the arrow keys; `onleave()`, for when the pointer leaves the
 * list; and `onpin(key)`, for a click, Enter or Space. A finger cannot hover: its first tap points, and a tap on what is
 * shown already pins.
 */
export function createPredictionList(image, position, { onpoint, onleave, onpin }) {
  const buttons = new Map();
  let tapped = null; // {wasShown} from when a finger touches a button until the click, before which it is focused
  const rows = listedClasses(image, position).map(([row, isExplained]) => {
    if (!isExplained) {
      return createElement("li", {}, ...rowContents(row, "not explained", "plain"));
    }
    const key = targetKey(row);
    const button = createElement(
      "button",
      {
        type: "button",
        tabindex: -1,
        "aria-pressed": "false",
        onpointerenter: (event) => event.pointerType !== "touch" && onpoint(key),
        onpointerdown: (event) => {
          tapped = event.pointerType === "touch" ? { wasShown: button.classList.contains("shown") } : null;
        },
        onpointercancel: () => (tapped = null),
        onfocus: () => onpoint(key),
        onclick: () => {
          const isFirstTap = tapped?.wasShown === false;
          tapped = null;
          (isFirstTap ? onpoint : onpin)(key);
        },
      },
      ...rowContents(row, "pinned", "pin"),
    );
    buttons.set(key, button);
    return createElement("li", {}, button);
  });
  const list = createElement("ol", { onpointerleave: leave, onkeydown: moveFocus }, ...rows);

  function leave(event) {
    if (event.pointerType !== "touch") {
      onleave();
    }
  }

  function moveFocus(event) {
    const all = [...buttons.values()];
    const focused = all.indexOf(document.activeElement);
    const ends = { Home: 0, End: all.length - 1 };
    if (focused !== -1 && (event.key in STEPS || event.key in ends)) {
      event.preventDefault();
      const next = ends[event.key] ?? Math.min(Math.max(focused + STEPS[event.key], 0), all.length - 1);
      all[next].focus();
    }
  }

  /** Marks the targets that are shown and those that are pinned. */
  function update(shown, pinned) {
    for (const [key, button] of buttons) {
      button.classList.toggle("shown", shown.includes(key));
      button.setAttribute("aria-pressed", String(pinned.includes(key)));
      button.tabIndex = key === shown[0] ? 0 : -1;
    }
  }

  /** Highlights the target whose box the reader points at; none for null. */
  function point(key) {
    buttons.forEach((button, own) => button.classList.toggle("pointed", own === key));
  }

  return { element: list, update, point };
}

/** Returns the rows of the list, as [target or prediction, whether it was explained]. */
function listedClasses(image, position) {
  const targets = allTargets(image, position);
  const explained = new Set(targets.map(targetKey));
  const { predictions } = image.explanations[position];
  const others = predictions.filter((prediction) => !explained.has(targetKey(prediction)));
  const rows = [...targets.map((target) => [target, true]), ...others.map((prediction) => [prediction, false])];
  return rows.sort(([a], [b]) => (b.probability ?? -1) - (a.probability ?? -1));
}

function rowContents(row, note, noteClass) {
  const bar = createElement("span", { class: "bar", "aria-hidden": true });
  bar.style.width = `${100 * (row.probability ?? 0)}%`;
  return [
    bar,
    createElement("span", { class: "name" }, row.name),
    createElement("span", { class: noteClass }, note),
    createElement("span", { class: "probability" }, formatPercent(row.probability)),
  ];
}
