/** Which images a gallery shows, and in which order. */

import { formatPercent } from "./numbers.js";

export const ORDERS = [
  ["original", "Original order"],
  ["name", "Name"],
  ["most-confident", "Most confident first"],
  ["least-confident", "Least confident first"],
  ["wrong-first", "Wrong first, most confident first"],
];
export const CONFIDENCES = [
  ["any", "Any"],
  ["high", "At least 90%"],
  ["middle", "50 to 90%"],
  ["low", "Below 50%"],
];
export const VERDICTS = [
  ["any", "All"],
  ["correct", "Correct"],
  ["wrong", "Wrong"],
];

const SHOWN_DETECTIONS = 3;
const RANGES = { any: [-1, 2], high: [0.9, 2], middle: [0.5, 0.9], low: [0, 0.5] };

/** Returns the filter that a gallery starts with, which every image passes. */
export function defaultFilter() {
  return { search: "", order: "original", predicted: "", confidence: "any", verdict: "any" };
}

/** Returns the names of the predicted classes of all images. */
export function predictedClasses(images) {
  return [...new Set(images.flatMap(classesOf))].sort();
}

/** Returns the positions of the images that pass the filter, in its order. */
export function filterImages(images, filter) {
  const positions = [...images.keys()].filter((position) => passes(images[position], filter));
  const compare = COMPARISONS[filter.order];
  return compare ? positions.sort((a, b) => compare(images[a], images[b])) : positions;
}

/** Returns the names of the classes of an image: the predicted one, or those that a detector found. */
function classesOf(image) {
  return (image.detections ?? image.predictions.slice(0, 1)).map(({ name }) => name);
}

const confidenceOf = (image) => (image.detections ?? image.predictions)[0]?.probability ?? -1;
const isWrong = (image) => image.correct === false;

const COMPARISONS = {
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  "most-confident": (a, b) => confidenceOf(b) - confidenceOf(a),
  "least-confident": (a, b) => confidenceOf(a) - confidenceOf(b),
  "wrong-first": (a, b) => isWrong(b) - isWrong(a) || confidenceOf(b) - confidenceOf(a),
};

function passes(image, { search, predicted, confidence, verdict }) {
  const [from, to] = RANGES[confidence];
  const hasConfidence = confidence === "any" || (from <= confidenceOf(image) && confidenceOf(image) < to);
  const hasVerdict = verdict === "any" || image.correct === (verdict === "correct");
  const hasClass = predicted === "" || classesOf(image).includes(predicted);
  return hasConfidence && hasVerdict && hasClass && searchText(image).includes(search.trim().toLowerCase());
}

function searchText(image) {
  return [image.name, image.label ?? "", ...classesOf(image)].join(" ").toLowerCase();
}

/** Returns the text below a thumbnail: the predicted class and its probability, or the surest detections. */
export function predictionText(image) {
  if (image.detections) {
    const shown = image.detections.slice(0, SHOWN_DETECTIONS);
    const more = image.detections.length - shown.length;
    const texts = shown.map(({ name, probability }) => `${name} ${formatPercent(probability)}`);
    return `Detected: ${texts.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  }
  const best = image.predictions[0];
  return best === undefined ? "" : `Predicted: ${best.name}, ${formatPercent(best.probability)}`;
}
