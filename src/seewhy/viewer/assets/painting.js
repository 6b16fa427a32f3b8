/**
 * Pixels: a map in colours, blended into its photo, or as lines and boxes on it.
 *
 * The colours are those of `seewhy.images.overlay`, and the boxes those of `Explanation.boxes`. A map's cells are scaled
 * already: to 0..1, or to -1..1 for one that has a sign, whose middle is drawn as nothing at all.
 */

import { linesAt } from "./contours.js";
import { centresOf, placed } from "./placing.js";
import { boxesOf } from "./regions.js";

const GRID = 160;
const LEVELS = 4;

/**
 * Draws a map on its photo.
 *
 * `photo` is {width, height, pixels}; `map` as in placing.js, with `extent` {width, height}, the size of the picture
 * that its box is in, and `signed`; `look` is {mode, alpha, threshold, table}: "overlay", "heatmap", "contour" or "box",
 * two numbers in 0..1, and 256 colours of three bytes.
 */
export function draw(context, photo, map, look) {
  const image = context.createImageData(photo.width, photo.height);
  image.data.set(photo.pixels);
  const ys = centresOf(photo.height, map.extent.height);
  const xs = centresOf(photo.width, map.extent.width);
  const onPhoto = look.mode === "contour" ? null : placed(map, ys, xs);
  if (look.mode === "overlay" || look.mode === "heatmap") {
    (look.mode === "overlay" ? blend : replace)(image.data, photo.width, onPhoto, map.signed, look);
  }
  context.putImageData(image, 0, 0);
  if (look.mode === "contour") {
    drawContours(context, photo, map, look);
  } else if (look.mode === "box") {
    drawBoxes(context, photo, onPhoto, map.signed, look);
  }
}

/** Returns the least size of a value that is shown: a share of the largest. */
function least(values, threshold) {
  if (threshold === 0) {
    return 0;
  }
  let largest = 0;
  for (let i = 0; i < values.length; i += 1) {
    largest = Math.max(largest, Math.abs(values[i]));
  }
  return Math.max(threshold * largest, Number.MIN_VALUE);
}

/** Blends colours into the photo: (1 - alpha) photo + alpha colours; with a sign, the more the larger a value is. */
function blend(data, width, { values, top, bottom, left, right }, signed, { alpha, threshold, table }) {
  const lowest = least(values, threshold);
  for (let y = top; y < bottom; y += 1) {
    for (let i = y * width + left, end = y * width + right; i < end; i += 1) {
      const value = values[i];
      const size = value < 0 ? -value : value;
      if (size < lowest) {
        continue;
      }
      const color = 3 * ((signed ? 127.5 * (value + 1) + 0.5 : 255 * value + 0.5) | 0);
      const share = signed ? alpha * size : alpha;
      const at = 4 * i;
      data[at] += share * (table[color] - data[at]);
      data[at + 1] += share * (table[color + 1] - data[at + 1]);
      data[at + 2] += share * (table[color + 2] - data[at + 2]);
    }
  }
}

/** Puts the colours alone in place of the photo; white where nothing is claimed, or less than the threshold. */
function replace(data, width, { values, top, bottom, left, right }, signed, { threshold, table }) {
  data.fill(255);
  const lowest = least(values, threshold);
  for (let y = top; y < bottom; y += 1) {
    for (let i = y * width + left, end = y * width + right; i < end; i += 1) {
      const value = values[i];
      if (Math.abs(value) >= lowest) {
        const color = 3 * ((signed ? 127.5 * (value + 1) + 0.5 : 255 * value + 0.5) | 0);
        data.set(table.subarray(color, color + 3), 4 * i);
      }
    }
  }
}

/** Draws lines at the threshold and at steps above it, in the colour of their value. */
function drawContours(context, photo, map, { threshold, table }) {
  const [top, left, bottom, right] = map.box;
  const within = (from, to, extent) => centresOf(GRID, to - from).map((point) => Math.min(Math.max(point + from, 0), extent));
  const ys = within(Math.max(top, 0), Math.min(bottom, map.extent.height), map.extent.height);
  const xs = within(Math.max(left, 0), Math.min(right, map.extent.width), map.extent.width);
  const { values } = placed(map, ys, xs);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0) {
    return;
  }
  const scale = { x: photo.width / map.extent.width, y: photo.height / map.extent.height };
  for (const sign of map.signed ? [-1, 1] : [1]) {
    for (let step = 0; step < LEVELS; step += 1) {
      const level = sign * largest * Math.max(threshold + ((1 - threshold) * step) / LEVELS, 0.01);
      const path = new Path2D();
      for (const [x1, y1, x2, y2] of linesAt(level, values, ys, xs)) {
        path.moveTo(x1 * scale.x, y1 * scale.y);
        path.lineTo(x2 * scale.x, y2 * scale.y);
      }
      strokeTwice(context, path, colorOf(level, map.signed, table), lineWidth(photo));
    }
  }
}

/** Draws boxes round the parts above the threshold; that of the largest part is the thick one. */
function drawBoxes(context, photo, { values }, signed, { threshold, table }) {
  const lowest = Math.max(least(values, threshold), Number.MIN_VALUE);
  for (const sign of signed ? [-1, 1] : [1]) {
    const boxes = boxesOf(values.map((value) => (sign * value >= lowest ? 1 : 0)), photo.width, photo.height);
    boxes.reverse().forEach((box, position) => {
      const path = new Path2D();
      path.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      const width = lineWidth(photo) * (position === boxes.length - 1 ? 2 : 1);
      strokeTwice(context, path, colorOf(sign, signed, table), width);
    });
  }
}

/** Strokes a line on a wider dark one, so that it is seen on any photo. */
function strokeTwice(context, path, color, width) {
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = "rgb(0 0 0 / 65%)";
  context.lineWidth = 2 * width;
  context.stroke(path);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke(path);
}

function lineWidth(photo) {
  return Math.max(1.5, Math.max(photo.width, photo.height) / 300);
}

/** Returns the colour of a scaled value, for style sheets and strokes. */
export function colorOf(value, signed, table) {
  const color = 3 * Math.round(signed ? 127.5 * (value + 1) : 255 * value);
  return `rgb(${table[color]} ${table[color + 1]} ${table[color + 2]})`;
}
