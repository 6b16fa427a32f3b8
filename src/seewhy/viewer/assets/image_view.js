/** The view of one image: its panes, its list of predictions, and the controls. */

import { checkText, paneCaptions, paneHeadings } from "./captions.js";
import { createControls, styleOf } from "./controls.js";
import { createElement } from "./dom.js";
import { createPane } from "./pane.js";
import { createSignalPane } from "./signal_pane.js";
import { decodeHeatmaps, SHOWN_PIXELS } from "./photos.js";
import { createPredictionList } from "./predictions.js";
import { createFrameChoice } from "./frame_choice.js";
import { loadFrames, loadBackgrounds, strongestFrame } from "./recording.js";
import { paneContents, showsDetections, targetKey, targetTitle } from "./pane_contents.js";
import { hasTouchScreen } from "./touch_screen.js";
import { createZoom } from "./zoom.js";

const MOUSE_HINTS = {
  classes: "Hover, or use ↑ and ↓, to see the evidence for a class. Click or press Enter to pin it; pin two to compare.",
  detections:
    "Hover, or use ↑ and ↓, or click a box on the image, to see the evidence for a detection. Click here or press Enter " +
    "to pin one; pin two to compare.",
  values: "Point at the image, or focus it and use the arrow keys, to read values.",
};
const TOUCH_HINTS = {
  classes: "Tap a class to see the evidence for it. Tap it again to pin it; pin two to compare.",
  detections:
    "Tap a detection, or its box on the image, to see the evidence for it. Tap it again in this list to pin it; pin two " +
    "to compare.",
  values: "Tap the image to read values.",
};

/**
 * Creates the view of an image.
 *
 * Args: the image's entry in the viewer's input; the colour maps by name; the display options (controls.js), which are
 * kept from image to image; and whether its name is shown as a heading. Returns a promise of the element, which is drawn
 * then.
 */
export async function createImageView(entry, colormaps, { display, hasHeading }) {
  const image = await loadBackgrounds(decodeHeatmaps(entry), SHOWN_PIXELS);
  const [firstTarget] = image.explanations[0].targets;
  const place = await firstPlace(image, firstTarget);
  const selection = { current: targetKey(firstTarget), pinned: [], explanation: 0, place };
  const hints = hasTouchScreen() ? TOUCH_HINTS : MOUSE_HINTS;
  const isDetector = showsDetections(image);
  const panes = [];
  const paneGrid = createElement("div", { class: "panes" });
  const heading = createSharedHeading(image);
  let zoom = 1;
  let isScrolling = false;
  const zoomButtons = createZoom(steepestAspect(image), setZoom);
  const bar = createElement("div", { class: "view-bar" }, heading.element, zoomButtons);
  const frameChoice = image.recording ? createFrameChoice(image.recording, place, showFrame, showStrongest) : null;
  const view = createElement("div", { class: "view" }, bar, frameChoice?.element, paneGrid);
  const caption = createElement("p", { class: "caption" });
  const check = createElement("p", { class: "check-text", hidden: true });
  const callbacks = { onpoint, onleave, onpin };
  const paneCallbacks = { onscroll: scrollPanes, onpoint: pointBox, onselect: selectBox };
  const lists = image.explanations.map((_, position) => createPredictionList(image, position, callbacks));
  const controls = createControls(image, display, Object.keys(colormaps), render, (position) => {
    selection.explanation = position;
    render();
  });
  const side = createElement(
    "div",
    { class: "side" },
    createElement("h3", {}, isDetector ? "Detections" : "Predictions"),
    createElement("p", { class: "note" }, isDetector ? hints.detections : hints.classes),
    ...lists.map((list) => list.element),
    controls.element,
  );
  const valueHint = createElement("p", { class: "note" }, hints.values);
  const reading = createElement("div", { class: "reading" }, caption, check, valueHint);
  const attributes = { class: "image", "aria-label": image.name };
  const element = createElement("section", attributes, createHeading(image, hasHeading), view, side, reading);

  function onpoint(key) {
    selection.current = key;
    render();
  }

  function onleave() {
    if (selection.pinned.length > 0) {
      selection.current = null;
      render();
    }
  }

  function onpin(key) {
    const isPinned = selection.pinned.includes(key);
    const others = selection.pinned.filter((pinned) => pinned !== key);
    selection.pinned = isPinned ? others : [...others, key].slice(-2);
    selection.current = key;
    render();
  }

  /** Highlights the detection at whose box the reader points, in the list and in all panes. */
  function pointBox(key) {
    [...lists, ...panes].forEach((part) => part.point(key));
  }

  /** Shows a detection whose box was clicked; where two are pinned, in place of what its pane shows. */
  function selectBox(key, content) {
    const { pinned } = selection;
    if (pinned.length === 2 && !pinned.includes(key)) {
      const replaced = content.keys.at(-1);
      selection.pinned = pinned.map((other) => (other === replaced ? key : other));
    }
    selection.current = key;
    render();
  }

  /** Shows the frame at `place`, once the frames across its axis are loaded. */
  async function showFrame() {
    const { axis } = place;
    await loadFrames(image, axis, SHOWN_PIXELS);
    if (axis === place.axis) {
      render();
    }
  }

  /** Goes to the frame with the peak of the target that is shown. */
  function showStrongest() {
    const [key] = shownKeys();
    const { parts } = image.explanations[selection.explanation];
    const target = parts[0].targets.find((other) => targetKey(other) === key);
    if (target) {
      place.frame = strongestFrame(image, parts[0], target, place.axis);
      showFrame();
    }
  }

  function shownKeys() {
    return selection.pinned.length === 2 ? selection.pinned : [selection.current ?? selection.pinned[0]];
  }

  function setZoom(newZoom) {
    zoom = newZoom;
    panes.forEach((pane) => pane.setZoom(zoom));
  }

  /** Scrolls all panes to the place to which the reader scrolls one: compared heatmaps show the same part. */
  function scrollPanes(left, top) {
    if (!isScrolling) {
      isScrolling = true;
      panes.forEach((pane) => pane.scrollTo(left, top));
      requestAnimationFrame(() => (isScrolling = false));
    }
  }

  function render() {
    const contents = paneContents(image, { ...selection, ...display });
    while (panes.length < contents.length) {
      panes.push((image.signal ? createSignalPane : createPane)(image, paneCallbacks));
    }
    panes.length = contents.length;
    const hasOtherPanes = paneGrid.childElementCount !== panes.length;
    if (hasOtherPanes) {
      paneGrid.replaceChildren(...panes.map((pane) => pane.element));
      paneGrid.dataset.count = String(image.inputs?.length === 2 ? 2 : Math.min(panes.length, 3));
    }
    showContents(contents);
    if (hasOtherPanes && zoom > 1) {
      setZoom(zoom);
    }
    frameChoice?.update();
    const shown = shownKeys();
    lists.forEach((list, position) => {
      list.element.hidden = position !== selection.explanation;
      list.update(shown, selection.pinned);
    });
    controls.update(selection.pinned, contents.every((content) => content.heatmap?.signed));
  }

  function showContents(contents) {
    const headings = paneHeadings(contents);
    const captions = paneCaptions(contents, styleOf(display, false, colormaps));
    heading.show(headings.shared);
    caption.textContent = captions.shared;
    caption.hidden = captions.shared === "";
    check.textContent = checkText(contents);
    check.hidden = check.textContent === "";
    contents.forEach((content, i) => {
      const style = styleOf(display, content.heatmap?.signed, colormaps);
      panes[i].show(content, style, headings.panes[i], captions.panes[i], display.boxes);
    });
  }

  render();
  return element;
}

/** Returns the frame of a recording that is shown first, {axis, frame}, when it is loaded. */
async function firstPlace(image, target) {
  if (!image.recording) {
    return null;
  }
  await loadFrames(image, 0, SHOWN_PIXELS);
  return { axis: 0, frame: strongestFrame(image, image.explanations[0].parts[0], target, 0) };
}

/** Returns the aspect ratio of the background that is the furthest from a square. */
function steepestAspect({ backgrounds, recording }) {
  const aspects = (recording?.axes ?? backgrounds).map(({ width, height }) => width / height);
  return aspects.reduce((one, other) => (Math.abs(Math.log(other)) > Math.abs(Math.log(one)) ? other : one), 1);
}

/** Creates the heading of all panes. It has the space for the longest title of a class, so that no other moves them. */
function createSharedHeading(image) {
  const title = createElement("span", {});
  const titles = image.explanations.flatMap((explanation) => explanation.targets.map(targetTitle));
  const longest = titles.reduce((one, other) => (other.length > one.length ? other : one));
  const titleElement = createElement("h3", { "data-longest": longest }, title);
  const detail = createElement("p", { class: "detail" });
  const element = createElement("div", { class: "heading" }, titleElement, detail);

  function show(heading) {
    title.textContent = heading.title;
    titleElement.hidden = heading.title === "";
    detail.textContent = heading.detail;
  }

  return { element, show };
}

function createHeading(image, hasHeading) {
  if (!hasHeading && image.label === null && !image.notice && !image.note) {
    return null;
  }
  const header = createElement("header", {}, hasHeading ? createElement("h2", {}, image.name) : null);
  if (image.label !== null) {
    const best = image.predictions[0];
    const predicted = best === undefined ? "" : ` Predicted: ${best.name}.`;
    const labelClass = image.correct === false ? "label wrong" : "label";
    header.append(createElement("p", { class: labelClass }, `True class: ${image.label}.${predicted}`));
  }
  if (image.notice) {
    header.append(createElement("p", { class: "warning" }, image.notice));
  }
  if (image.note) {
    header.append(createElement("p", { class: "note" }, image.note));
  }
  return header;
}
