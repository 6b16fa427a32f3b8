/** What the reader can set, and the controls for it. */

import { make, makeCheck, makeChoice, makeSelect, makeSlider } from "./dom.js";
import { detailOf } from "./pane_contents.js";

const MODES = [
  ["overlay", "Overlay"],
  ["heatmap", "Heatmap"],
  ["contour", "Contour"],
  ["box", "Box"],
];
const COLORMAPS = [
  ["viridis", "Viridis"],
  ["inferno", "Inferno"],
  ["jet", "Jet (misleads)"],
];
const JET = "Jet misleads: its bright bands look like edges where the map has none, and they are lost in print.";
const WITH_SIGN = "coolwarm";

/** Returns what is set at first. The share of the peak above which a map is shown is remembered for each mode. */
export function firstSettings() {
  return {
    mode: "overlay",
    alpha: 0.5,
    thresholds: { overlay: 0, heatmap: 0, contour: 0.15, box: 0.15 },
    colormap: "viridis",
    against: false,
    all: false,
    difference: false,
  };
}

/** Returns how a map is drawn (painting.js). */
export function lookOf(settings, signed, tables) {
  const { mode, alpha, thresholds, colormap } = settings;
  return { mode, alpha, threshold: thresholds[mode], table: tables[signed ? WITH_SIGN : colormap] };
}

/**
 * Makes the controls for an image. Whatever is set goes into `settings`, and `onchange` is told; `onmaps` is told
 * which of the image's maps were chosen. `show(pinned, isSigned)` brings the controls up to date: which
 * targets are pinned, and whether what is shown has a sign.
 */
export function makeControls(image, settings, onchange, onmaps) {
  const set = (changed) => {
    Object.assign(settings, changed);
    onchange();
  };
  const alpha = makeSlider("Opacity", (share) => set({ alpha: share }));
  const threshold = makeSlider("Threshold", (share) =>
    set({ thresholds: { ...settings.thresholds, [settings.mode]: share } }),
  );
  const pair = makeChoice(
    "The two pinned",
    [["beside", "Side by side"], ["difference", "Difference"]],
    settings.difference ? "difference" : "beside",
    (chosen) => set({ difference: chosen === "difference" }),
  );
  const colors = makeSelect("Colours", COLORMAPS, settings.colormap, (colormap) => set({ colormap }));
  const jet = make("p", { class: "note" }, JET);
  const element = make(
    "div",
    { class: "controls" },
    pair,
    ...makeMapsChoice(image, settings, set, onmaps),
    makeChoice("Show", MODES, settings.mode, (mode) => set({ mode })),
    alpha.element,
    threshold.element,
    colors,
    jet,
    image.maps.some((maps) => maps.signed)
      ? makeCheck("Show evidence against, too", settings.against, (against) => set({ against }))
      : null,
  );

  function show(pinned, isSigned) {
    alpha.set(settings.alpha, settings.mode === "overlay");
    threshold.set(settings.thresholds[settings.mode]);
    pair.hidden = pinned.length < 2;
    colors.hidden = isSigned; // what has a sign is always drawn in the colours that have a middle
    jet.hidden = isSigned || settings.colormap !== "jet";
  }

  return { element, show };
}

/** Makes the choice of method and layer; nothing where there is only one. */
function makeMapsChoice(image, settings, set, onmaps) {
  if (image.maps.length === 1) {
    return [];
  }
  const choices = image.maps.map((maps, position) => [String(position), detailOf(maps)]);
  const select = makeSelect("Method and layer", choices, "0", (position) => onmaps(Number(position)));
  const control = select.querySelector("select");
  control.disabled = settings.all;
  const all = makeCheck("All side by side", settings.all, (chosen) => {
    control.disabled = chosen;
    set({ all: chosen });
  });
  return [select, all];
}
