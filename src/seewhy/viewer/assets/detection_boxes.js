/** The boxes of an image's detections, over a pane: each is a button that shows the evidence for its detection. */

import { createElement } from "./dom.js";
import { formatPercent } from "./numbers.js";
import { targetKey } from "./pane_contents.js";

const BOX_STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
/** Two clicks that are at most this many CSS pixels apart are at the same place. */
const SAME_PLACE = 4;

/**
 * Creates the boxes over a pane. A box inside another lies over it. A click where several boxes lie on each
 * other shows the smallest; a click at the same place the next larger one.
 *
 * The callbacks are `onpoint(key)`, with null when the pointer or the focus leaves a box, and `onselect(key)`. Of the
 * result, `update(content, areAllVisible)` shows the boxes of all detections, or only those of the content's keys
 * (pane_contents.js); `point(key)` highlights one. `name` is that of the image.
 */
export function createDetectionBoxes(name, { onpoint, onselect }) {
  const element = createElement("div", { class: "detections", role: "group", "aria-label": `Detections in ${name}` });
  let boxes = []; // {key, area, button, tag}, in the order of the targets
  let drawn = null; // the targets that `boxes` were made for
  let keysShown = [];
  let background = null; // the background that the boxes are on
  let lastClick = { x: NaN, y: NaN };

  element.addEventListener("keydown", (event) => {
    const visible = boxes.filter(({ button }) => !button.hidden);
    const focused = visible.findIndex(({ button }) => button === document.activeElement);
    if (focused !== -1 && event.key in BOX_STEPS) {
      event.preventDefault();
      visible[(focused + BOX_STEPS[event.key] + visible.length) % visible.length].button.focus();
    }
  });

  function createBox(target, order) {
    const key = targetKey(target);
    const name = [target.name, formatPercent(target.probability)].filter(Boolean).join(", ");
    const button = createElement("button", {
      type: "button",
      class: "detection",
      "aria-label": name,
      onpointerenter: (event) => event.pointerType !== "touch" && onpoint(key),
      onpointerleave: () => onpoint(null),
      onfocus: () => onpoint(key),
      onblur: () => onpoint(null),
      onclick: (event) => onselect(event.detail === 0 ? key : keyAt(event, key)), // 0: by a key, not at a place
    });
    const tag = createElement("span", { class: "tag", "aria-hidden": true }, name);
    placeBox(button, tag, target.box, background);
    button.style.zIndex = String(order);
    return { key, area: areaOf(target), button, tag };
  }

  /** Returns the key of the detection that a click means. */
  function keyAt({ clientX: x, clientY: y }, clicked) {
    const isInside = ({ button, key }) => {
      const { left, right, top, bottom } = button.getBoundingClientRect();
      return key === clicked || (!button.hidden && left <= x && x <= right && top <= y && y <= bottom);
    };
    const under = boxes.filter(isInside).sort((a, b) => a.area - b.area);
    const shownAt = under.findIndex(({ key }) => keysShown.includes(key));
    const isSamePlace = Math.hypot(x - lastClick.x, y - lastClick.y) <= SAME_PLACE;
    lastClick = { x, y };
    const next = isSamePlace || shownAt === 0 ? shownAt + 1 : 0;
    return under[next % under.length].key;
  }

  function update({ targets, keys: shown, background: ownBackground }, areAllVisible) {
    if (drawn !== targets) {
      [drawn, background] = [targets, ownBackground];
      const detections = targets.filter(({ box }) => box !== null);
      const bySize = [...detections].sort((a, b) => areaOf(b) - areaOf(a));
      boxes = detections.map((target) => createBox(target, bySize.indexOf(target)));
      element.replaceChildren(...boxes.flatMap(({ button, tag }) => [button, tag]));
    }
    keysShown = shown;
    element.hidden = boxes.length === 0;
    const first = boxes.find(({ key }) => shown.includes(key)) ?? boxes[0];
    for (const box of boxes) {
      const isShown = shown.includes(box.key);
      box.button.hidden = !isShown && !areAllVisible;
      box.button.tabIndex = box === first ? 0 : -1;
      box.button.classList.toggle("shown", isShown);
      box.button.setAttribute("aria-current", String(isShown));
    }
  }

  function point(key) {
    boxes.forEach((box) => box.button.classList.toggle("pointed", box.key === key));
  }

  return { element, update, point };
}

function areaOf({ box: [top, left, bottom, right] }) {
  return (bottom - top) * (right - left);
}

/** Places a button along a box, and its tag above it, or inside where there is no space above. */
function placeBox(button, tag, [top, left, bottom, right], { width, height }) {
  const [x, y] = [left, top].map((edge, axis) => (100 * edge) / (axis === 0 ? width : height));
  Object.assign(button.style, {
    left: `${x}%`,
    top: `${y}%`,
    width: `${(100 * (right - left)) / width}%`,
    height: `${(100 * (bottom - top)) / height}%`,
  });
  tag.style.setProperty("--top", `${y}%`);
  if (x <= 50) {
    tag.style.left = `${Math.max(x, 0)}%`;
  } else {
    tag.style.right = `${Math.max(100 - (100 * right) / width, 0)}%`;
  }
}
