/** The contents of an image's panes: one target of one explanation each, or the difference of two targets. */

import { formatPercent, formatValue } from "./numbers.js";
import { backgroundOf, planeOf } from "./recording.js";

/** Returns what identifies a target: the same class has the same key in every explanation of an image. */
export function targetKey(target) {
  return `${target.index} ${target.name}`;
}

/** Returns what a target is called: "detection", "class" or "target". */
export function targetKind({ box, index }) {
  return box !== null ? "detection" : index >= 0 ? "class" : "target";
}

/** Returns whether all targets of an image are detections. */
export function showsDetections({ explanations }) {
  return explanations.every(({ targets }) => targets.every((target) => targetKind(target) === "detection"));
}

/**
 * Returns every target of an image once: those of the explanation at `position`, and those that only other explanations
 * have. The latter have a probability only if they come from the same model.
 */
export function allTargets(image, position) {
  const chosen = image.explanations[position];
  const targets = new Map(chosen.targets.map((target) => [targetKey(target), target]));
  for (const explanation of image.explanations) {
    for (const target of explanation.targets) {
      if (!targets.has(targetKey(target))) {
        const probability = explanation.model === chosen.model ? target.probability : null;
        targets.set(targetKey(target), { ...target, probability });
      }
    }
  }
  return [...targets.values()];
}

/**
 * Returns the contents of each pane: for each explanation and each target one for each image of the sample.
 *
 * `selection` is {current, pinned, explanation, sideBySide, difference, signed, place}: the keys of the current and the
 * pinned targets; the position of the explanation, and whether all of them are shown; whether two pinned targets are
 * shown as their difference; whether evidence against a target is shown; and of a recording, which frame (frames of
 * recording.js).
 */
export function paneContents(image, selection) {
  const explanations = selection.sideBySide ? image.explanations : [image.explanations[selection.explanation]];
  const keys = selection.pinned.length === 2 ? selection.pinned : [selection.current ?? selection.pinned[0]];
  return explanations.flatMap((explanation) => {
    const isDifference = selection.difference && keys.length === 2 && !targetsOf(explanation, keys).includes(null);
    const groups = isDifference ? [keys] : keys.map((key) => [key]);
    return groups.flatMap((group) => explanation.parts.map((part) => createContent(image, part, group, selection)));
  });
}

function targetsOf({ targets }, keys) {
  return keys.map((key) => targets.find((target) => targetKey(target) === key) ?? null);
}

function createContent(image, part, keys, { signed, place }) {
  const targets = targetsOf(part, keys);
  const background = backgroundOf(image, part, place);
  if (targets.includes(null)) {
    return { ...missingContent(image, part, keys[0]), background };
  }
  return targets.length === 2
    ? differenceContent(part, targets, signed, background)
    : targetContent(part, targets[0], signed, background);
}

const contentCache = new WeakMap();

/** Returns the content for a target, the same object each time, so that the renderer can reuse the placed heatmap. */
function targetContent(part, target, signed, background) {
  const isSigned = signed && part.signed;
  const backgrounds = contentCache.get(target) ?? contentCache.set(target, new WeakMap()).get(target);
  const contents = backgrounds.get(background) ?? backgrounds.set(background, {}).get(background);
  contents[isSigned] ??= createTargetContent(part, target, isSigned, background);
  return contents[isSigned];
}

function createTargetContent(part, target, signed, background) {
  const peak = signed ? target.signed_peak : target.peak;
  const raw = signed ? target.cells : positiveCells(target);
  const where = background.input === "" ? "this image" : `“${background.input}”`;
  return {
    title: targetTitle(target),
    name: target.name,
    kind: targetKind(target),
    keys: [targetKey(target)],
    frames: framesOf(target),
    minus: null,
    warning: peak > 0 ? null : `No evidence for “${target.name}” in ${background.noun ?? where}.`,
    check: target.check ?? "",
    ...heatmapContent(part, raw, peak, signed, background),
  };
}

const positiveCache = new WeakMap();

function positiveCells(target) {
  const clipped = () => target.cells.map((value) => Math.max(value, 0));
  return positiveCache.get(target) ?? positiveCache.set(target, clipped()).get(target);
}

function differenceContent(part, [target, other], signed, background) {
  const shownCells = (each) => (signed && part.signed ? each.cells : positiveCells(each));
  const [cells, otherCells] = [target, other].map(shownCells);
  const raw = cells.map((value, cell) => value - otherCells[cell]);
  const peak = raw.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const name = `${target.name} minus ${other.name}`;
  return {
    title: name,
    name,
    kind: "target",
    keys: [target, other].map(targetKey),
    frames: [target, other].flatMap(framesOf),
    minus: [target.name, other.name],
    warning: peak > 0 ? null : "The two heatmaps do not differ.",
    ...heatmapContent(part, raw, peak, true, background),
  };
}

function heatmapContent(part, raw, peak, signed, background) {
  const plane = planeOf(part, raw, background);
  const cells = plane.cells.map((value) => (peak > 0 ? Math.min(Math.max(value / peak, -1), 1) : 0));
  const isWhole = part.axes === undefined; // a frame is scaled to the peak of the recording
  return {
    background,
    targets: part.targets,
    facts: factsOf(part),
    detail: describeExplanation(part),
    method: part.method,
    heatmap: { ...plane, cells, signed, speckled: part.speckled, extent: background, largest: isWhole ? null : 1 },
    rawHeatmap: plane,
    low: signed ? formatValue(-peak) : "0",
    high: formatValue(peak),
    peak,
  };
}

const framesOf = ({ box }) => (box === null ? [] : [box]);

/** Returns the content for a target that another explanation has. */
function missingContent(image, part, key) {
  const target = allTargets(image, part.choice).find((other) => targetKey(other) === key);
  return {
    title: targetTitle(target),
    name: target.name,
    kind: targetKind(target),
    keys: [key],
    frames: [],
    targets: part.targets,
    minus: null,
    facts: factsOf(part),
    detail: describeExplanation(part),
    warning: `“${target.name}” was not explained with ${part.title}.`,
    heatmap: null,
  };
}

/** Returns the title of a target: its name, and its probability if it is known. */
export function targetTitle({ name, probability }) {
  return [name, formatPercent(probability)].filter(Boolean).join(" · ");
}

/** Describes an explanation: its model, if known, its method, its layer, and the resolution of its heatmaps. */
export function describeExplanation(explanation) {
  return joinFacts(factsOf(explanation));
}

/** Joins the facts that are known. */
export function joinFacts(facts) {
  return facts.filter((fact) => fact !== null).join(" · ");
}

function factsOf({ model, title, layer, rows, columns, axes, extent }) {
  const sizes = axes ? [axes[0].depth, rows, columns] : extent ? [columns] : [rows, columns];
  return [model, title, `layer ${layer}`, sizes.join("\u00a0×\u00a0")];
}

/** Returns whether the model did not see a part of the image. */
export function isCropped({ box, input = box, extent }) {
  return [box, input].some(
    ([top, left, bottom, right]) =>
      top >= 0.5 || left >= 0.5 || bottom < extent.height - 0.5 || right < extent.width - 0.5,
  );
}

/** Returns where on the image a heatmap has its peak, {x, y} as fractions of its width and height. */
export function peakPoint({ rows, columns, cells, box, extent }) {
  const peak = cells.reduce((best, value, cell) => (Math.abs(value) > Math.abs(cells[best]) ? cell : best), 0);
  const centre = (cell, count, start, stop) => start + ((cell + 0.5) / count) * (stop - start);
  return {
    y: centre(Math.floor(peak / columns), rows, box[0], box[2]) / extent.height,
    x: centre(peak % columns, columns, box[1], box[3]) / extent.width,
  };
}

/** Describes where on the image a heatmap has its peak, for screen readers. */
export function describePeak(heatmap) {
  if (heatmap.cells.every((value) => value === 0)) {
    return "no evidence here";
  }
  const { x, y } = peakPoint(heatmap);
  const third = (fraction, words) => words[Math.min(Math.max(Math.floor(3 * fraction), 0), 2)];
  const words = [third(y, ["upper", "", "lower"]), third(x, ["left", "", "right"])].filter(Boolean);
  return `strongest ${words.length === 0 ? "in the middle" : `at the ${words.join(" ")}`}`;
}
