/** Turns the model's outputs into the viewer's input, as `seewhy.viewer.viewer_data` does for Python's explanations. */

const SHOWN_PREDICTIONS = 5;

/**
 * Returns the viewer's input for one photo.
 *
 * Args: the site's manifest (site.json); the model's outputs (model.js); the chosen classes, or a number of the most
 * probable ones; and the photo: {name, width, height, url, box}.
 */
export function viewerData(manifest, outputs, chosen, { name, width, height, url, box }) {
  const predictions = rankClasses(outputs.probabilities)
    .slice(0, SHOWN_PREDICTIONS)
    .map((index) => prediction(manifest, outputs, index));
  const targets = chosenClasses(outputs, chosen).map((index) => target(manifest, outputs, index));
  const { rows, columns } = outputs.heatmaps;
  const explanation = {
    model: manifest.model.name,
    method: manifest.method.name,
    title: manifest.method.title,
    layer: manifest.layer,
    predictions,
    rows,
    columns,
    box: heatmapBox(box, manifest.input_box),
    input: box,
    signed: targets.some(({ lowest }) => lowest < 0),
    speckled: manifest.peak_quantile < 1,
    targets: targets.map(({ lowest, ...shown }) => shown),
  };
  const image = { name, label: null, correct: null, width, height, predictions, photo: url, explanations: [explanation] };
  return { ...manifest.viewer, images: [image] };
}

/** Returns the name of a class. */
export function className({ class_names: names }, index) {
  return names === null ? `class ${index}` : names[index];
}

/** Returns the indices of the classes, most probable first; of equal ones, the first. */
function rankClasses(probabilities) {
  return Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
}

/** Returns the chosen classes, once each, in the order chosen; only classes with a heatmap. */
function chosenClasses({ probabilities, classes }, chosen) {
  const explained = new Set(classes);
  const ranked = rankClasses(probabilities).filter((index) => explained.has(index));
  const indices = chosen.flatMap((choice) => ("top" in choice ? ranked.slice(0, choice.top) : [choice.index]));
  return [...new Set(indices)].filter((index) => explained.has(index));
}

function prediction(manifest, { probabilities }, index) {
  return { index, name: className(manifest, index), probability: probabilities[index] };
}

function target(manifest, outputs, index) {
  const cells = outputs.heatmaps.rows * outputs.heatmaps.columns;
  const start = outputs.classes.indexOf(index) * cells;
  const heatmap = outputs.heatmaps.values.slice(start, start + cells);
  const lowest = heatmap.reduce((least, value) => Math.min(least, value), 0);
  return {
    ...prediction(manifest, outputs, index),
    score: outputs.scores[index],
    has_evidence: heatmap.some((value) => value > 0),
    peak: peakOf(heatmap.map((value) => Math.max(value, 0)), manifest.peak_quantile),
    signed_peak: peakOf(heatmap.map(Math.abs), manifest.peak_quantile),
    heatmap: base64OfFloats(heatmap),
    lowest,
  };
}

/** Returns the quantile of values, as `peak_values` in Python, or their maximum where the quantile is 0. */
function peakOf(values, quantile) {
  const sorted = values.slice().sort();
  const position = quantile * (sorted.length - 1);
  const below = sorted[Math.floor(position)];
  const peak = below + (position % 1) * (sorted[Math.ceil(position)] - below);
  return peak > 0 ? peak : sorted.at(-1);
}

/** Returns where the heatmaps are on the photo: a model that crops its own input shows less than all of it. */
function heatmapBox([top, left, bottom, right], [first, start, last, stop]) {
  const [height, width] = [bottom - top, right - left];
  return [top + first * height, left + start * width, top + last * height, left + stop * width];
}

/** Encodes float32 values, little-endian, as base64. */
function base64OfFloats(values) {
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => bytes.setFloat32(4 * i, value, true));
  return btoa(Array.from(new Uint8Array(bytes.buffer), (byte) => String.fromCharCode(byte)).join(""));
}
