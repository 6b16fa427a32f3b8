/** Which images of a gallery are shown, and in which order. */

import { percent } from "./numbers.js";

export const ORDERS = [
  ["given", "As given"],
  ["name", "Name"],
  ["sure", "Most confident first"],
  ["unsure", "Least confident first"],
  ["wrong", "Wrong first, the surest of them before"],
];
export const CONFIDENCES = [
  ["any", "Any"],
  ["high", "90 % and more"],
  ["middle", "50 to 90 %"],
  ["low", "Below 50 %"],
];
export const VERDICTS = [
  ["any", "All"],
  ["right", "Right"],
  ["wrong", "Wrong"],
];

const RANGES = { any: [-1, 2], high: [0.9, 2], middle: [0.5, 0.9], low: [0, 0.5] };

/** Returns what a gallery shows at first. */
export function firstCriteria() {
  return { search: "", order: "given", name: "", confidence: "any", verdict: "any" };
}

/** Returns the classes that images are taken for, by name. */
export function classesOf(images) {
  return [...new Set(images.flatMap((image) => image.predictions.slice(0, 1)).map((best) => best.name))].sort();
}

/** Returns the positions of the images that meet the criteria, in their order. */
export function selected(images, criteria) {
  const found = [...images.keys()].filter((position) => meets(images[position], criteria));
  const order = compare[criteria.order];
  return order ? found.sort((a, b) => order(images[a], images[b])) : found;
}

const confidenceOf = (image) => image.predictions[0]?.probability ?? -1;

const compare = {
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  sure: (a, b) => confidenceOf(b) - confidenceOf(a),
  unsure: (a, b) => confidenceOf(a) - confidenceOf(b),
  wrong: (a, b) => (a.correct === false ? 0 : 1) - (b.correct === false ? 0 : 1) || confidenceOf(b) - confidenceOf(a),
};

function meets(image, { search, name, confidence, verdict }) {
  const [from, to] = RANGES[confidence];
  const isWithin = confidence === "any" || (from <= confidenceOf(image) && confidenceOf(image) < to);
  const isAsked = verdict === "any" || image.correct === (verdict === "right");
  const isClass = name === "" || image.predictions[0]?.name === name;
  return isWithin && isAsked && isClass && textOf(image).includes(search.trim().toLowerCase());
}

function textOf(image) {
  return [image.name, image.label ?? "", image.predictions[0]?.name ?? ""].join(" ").toLowerCase();
}

/** Returns what stands under an image: what it is taken for. */
export function captionOf(image) {
  const best = image.predictions[0];
  return best === undefined ? "" : `${best.name} ${percent(best.probability)}`;
}
