/** The display options that the reader can change, and the controls for them. */

import { createCheckbox, createElement, createRadioGroup, createSelect, createSlider } from "./dom.js";
import { describeExplanation, showsDetections } from "./pane_contents.js";

const MODES = [
  ["overlay", "Overlay"],
  ["heatmap", "Heatmap"],
  ["contour", "Contour"],
  ["box", "Box"],
];
const JET_WARNING =
  "Jet is misleading: its bright bands look like edges that the heatmap does not have, and they are lost in print.";
const SIGNED_COLORMAP = "coolwarm";

/**
 * Returns the default display options, in the `style` of the viewer's input. The threshold, a fraction of the peak, is
 * remembered for each mode.
 */
export function defaultDisplay({ alpha, colormap }) {
  return {
    mode: "overlay",
    alpha,
    thresholds: { overlay: 0, heatmap: 0, contour: 0.15, box: 0.15 },
    colormap,
    signed: false,
    sideBySide: false,
    difference: false,
    boxes: true,
  };
}

/** Returns the style in which a heatmap is drawn (renderer.js). */
export function styleOf(display, signed, colormaps) {
  const { mode, alpha, thresholds, colormap } = display;
  return { mode, alpha, threshold: thresholds[mode], colors: colormaps[signed ? SIGNED_COLORMAP : colormap] };
}

/**
 * Creates the controls for an image. A change is written to `display`, then `onchange` is called; `onselect` receives
 * the position of the explanation that was chosen. `colormapNames` are the colour maps to choose from.
 * `update(pinned, isSigned)` brings the controls up to date with the pinned targets, and with whether signed heatmaps
 * are shown.
 */
export function createControls(image, display, colormapNames, onchange, onselect) {
  const set = (changes) => {
    Object.assign(display, changes);
    onchange();
  };
  const isDetector = showsDetections(image);
  const alpha = createSlider("Opacity", (fraction) => set({ alpha: fraction }));
  const threshold = createSlider("Threshold", (fraction) =>
    set({ thresholds: { ...display.thresholds, [display.mode]: fraction } }),
  );
  const comparison = createRadioGroup(
    `Compare pinned ${isDetector ? "detections" : "classes"}`,
    [["beside", "Side by side"], ["difference", "Difference"]],
    display.difference ? "difference" : "beside",
    (chosen) => set({ difference: chosen === "difference" }),
  );
  const colormap = createSelect("Colours", colormapChoices(colormapNames), display.colormap, (name) => set({ colormap: name }));
  const jetWarning = createElement("p", { class: "note" }, JET_WARNING);
  const element = createElement(
    "div",
    { class: "controls" },
    comparison,
    ...createExplanationChoice(image, display, set, onselect),
    image.signal ? null : createRadioGroup("Show as", MODES, display.mode, (mode) => set({ mode })),
    image.signal ? null : alpha.element,
    threshold.element,
    colormap,
    jetWarning,
    image.explanations.some((explanation) => explanation.signed)
      ? createCheckbox("Show evidence against, too", display.signed, (signed) => set({ signed }))
      : null,
    isDetector ? createCheckbox("Show the boxes of all detections", display.boxes, (boxes) => set({ boxes })) : null,
  );

  function update(pinned, isSigned) {
    alpha.set(display.alpha, display.mode === "overlay");
    threshold.set(display.thresholds[display.mode]);
    comparison.hidden = pinned.length < 2;
    colormap.hidden = isSigned; // signed heatmaps need a diverging colour map
    jetWarning.hidden = isSigned || display.colormap !== "jet";
  }

  return { element, update };
}

function colormapChoices(names) {
  const textOf = (name) => `${name[0].toUpperCase()}${name.slice(1)}${name === "jet" ? " (misleading)" : ""}`;
  return names.filter((name) => name !== SIGNED_COLORMAP).map((name) => [name, textOf(name)]);
}

/** Creates the choice of method and layer; nothing if there is only one explanation. */
function createExplanationChoice(image, display, set, onselect) {
  if (image.explanations.length === 1) {
    return [];
  }
  const choices = image.explanations.map((explanation, position) => [
    String(position),
    describeExplanation(explanation),
  ]);
  const field = createSelect("Method and layer", choices, "0", (position) => onselect(Number(position)));
  const select = field.querySelector("select");
  select.disabled = display.sideBySide;
  const sideBySide = createCheckbox("All side by side", display.sideBySide, (checked) => {
    select.disabled = checked;
    set({ sideBySide: checked });
  });
  return [field, sideBySide];
}
