/**
 * Pixels: a map in colours, blended into its photo, or as lines and boxes on it.
 *
 * The colours are those of `seewhy.images.overlay`, and the boxes those of `Explanation.boxes`. A map's cells are
 * scaled already: to 0..1, or to -1..1 for one that has a sign, whose middle is drawn as nothing at all.
 */

import { linesAt } from "./contours.js";
import { centresOf, placed } from "./placing.js";
import { boxesOf } from "./regions.js";

const GRID = 160;
const LEVELS = 4;

/**
 * Draws a map on its photo.
 *
 * `photo` is {width, height, pixels}; `map` as in placing.js, with `extent` {width, height}, the size of the image
 * that its box is in, and `signed`; `look` is {mode, alpha, threshold, table}: "overlay", "heatmap", "contour" or
 * "box", two numbers in 0..1, and 256 colours of three bytes.
 */
export function draw(context, photo, map, look) {
  const image = imageFor(context.canvas, photo);
  if (look.mode === "overlay") {
    blend(wordsOf(image.data), wordsOf(photo.pixels), photo.width, placeOn(photo, map), shadesOf(map.signed, look));
  } else if (look.mode === "heatmap") {
    const white = new Int32Array(photo.width * photo.height).fill(-1);
    blend(wordsOf(image.data), white, photo.width, placeOn(photo, map), shadesOf(map.signed, look));
  } else {
    image.data.set(photo.pixels);
  }
  context.putImageData(image, 0, 0);
  if (look.mode === "contour") {
    drawContours(context, photo, map, look);
  } else if (look.mode === "box") {
    drawBoxes(context, photo, placeOn(photo, map).values, map.signed, look);
  }
}

const images = new WeakMap();

/** Returns the pixels that a canvas is drawn from, the same each time: new ones would cost more than to fill them. */
function imageFor(canvas, photo) {
  const known = images.get(canvas);
  if (known?.width === photo.width && known.height === photo.height) {
    return known;
  }
  const image = new ImageData(photo.width, photo.height);
  images.set(canvas, image);
  return image;
}

let last = { map: null, photo: null, onPhoto: { values: null, steps: null } };

/**
 * Brings a map onto a photo's pixels, as `placed` returns it, and `steps`, which of its 256 colours each value has.
 *
 * The last one is kept, as sliders draw the same map over and over.
 */
function placeOn(photo, map) {
  if (last.map !== map || last.photo !== photo) {
    const ys = centresOf(photo.height, map.extent.height);
    const xs = centresOf(photo.width, map.extent.width);
    const onPhoto = placed(map, ys, xs, last.onPhoto.values);
    last = { map, photo, onPhoto: { ...onPhoto, steps: stepsOf(onPhoto.values, map.signed, last.onPhoto.steps) } };
  }
  return last.onPhoto;
}

/** Returns which of 256 colours each value has, of 0..1, or of -1..1 with a sign; `used` is written into if it fits. */
function stepsOf(values, signed, used) {
  const steps = used?.length === values.length ? used : new Uint8Array(values.length);
  const [scale, middle] = signed ? [127.5, 128] : [255, 0.5];
  for (let i = 0; i < values.length; i += 1) {
    steps[i] = scale * values[i] + middle;
  }
  return steps;
}

/** Returns pixels as one number each: red in the lowest byte, then green, blue, and 255. */
const wordsOf = (pixels) => new Int32Array(pixels.buffer);

/** Returns the least size of a value that is shown: a share of the largest. */
function least(values, threshold) {
  if (threshold === 0) {
    return 0;
  }
  let largest = 0;
  for (let i = 0; i < values.length; i += 1) {
    const size = values[i] < 0 ? -values[i] : values[i];
    largest = size > largest ? size : largest;
  }
  return Math.max(threshold * largest, Number.MIN_VALUE);
}

/**
 * Returns what is mixed for each of the 256 steps of a map, in 256ths: `rest`, how much of the photo stays, and what is
 * added to it, `blueRed` and `green`, in the places that these have in a pixel.
 *
 * An overlay is (1 - alpha) photo + alpha colour; with a sign, alpha is the smaller the nearer a value is to 0.
 */
function shadesOf(signed, { mode, alpha, threshold, table }) {
  const most = mode === "heatmap" ? 1 : alpha;
  const isFading = signed && mode === "overlay";
  const rest = new Int32Array(256);
  const blueRed = new Int32Array(256);
  const green = new Int32Array(256);
  for (let step = 0; step < 256; step += 1) {
    const share = Math.round(256 * most * (isFading ? Math.abs(step / 127.5 - 1) : 1));
    const [red, middle, blue] = colorAt(table, step);
    rest[step] = 256 - share;
    blueRed[step] = share * ((blue << 16) | red) + HALVES;
    green[step] = share * middle + HALF;
  }
  return { rest, blueRed, green, threshold };
}

/** What rounds 256ths, in one place, and in those of blue and red. */
const HALF = 0x80;
const HALVES = 0x800080;

/**
 * Mixes colours into the words of a photo, where a value is shown.
 *
 * This runs for every pixel at every change, so blue and red, between which a byte is free, are multiplied at once.
 */
function blend(words, photo, width, { values, steps, top, bottom, left, right }, shades) {
  const { rest, blueRed, green, threshold } = shades;
  const lowest = least(values, threshold);
  words.set(photo);
  for (let y = top; y < bottom; y += 1) {
    for (let i = y * width + left, end = y * width + right; i < end; i += 1) {
      if (threshold === 0 || values[i] >= lowest || -values[i] >= lowest) {
        const step = steps[i];
        const stays = rest[step];
        const pixel = photo[i];
        const mixed = (Math.imul(pixel & 0xff00ff, stays) + blueRed[step]) >>> 8;
        const between = Math.imul((pixel >>> 8) & 0xff, stays) + green[step];
        words[i] = 0xff000000 | (mixed & 0xff00ff) | (between & 0xff00);
      }
    }
  }
}

/** Draws lines at the threshold and at steps above it, in the colour of their value. */
function drawContours(context, photo, map, { threshold, table }) {
  const [top, left, bottom, right] = map.box;
  const between = (from, to) => centresOf(GRID, to - from).map((point) => from + point);
  const ys = between(Math.max(top, 0), Math.min(bottom, map.extent.height));
  const xs = between(Math.max(left, 0), Math.min(right, map.extent.width));
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
function drawBoxes(context, photo, values, signed, { threshold, table }) {
  const lowest = Math.max(least(values, threshold), Number.MIN_VALUE);
  for (const sign of signed ? [-1, 1] : [1]) {
    const boxes = boxesOf(sign === 1 ? values : values.map((value) => -value), lowest, photo.width);
    boxes.reverse().forEach((box, position) => {
      const path = new Path2D();
      path.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      const width = lineWidth(photo) * (position === boxes.length - 1 ? 2 : 1);
      strokeTwice(context, path, colorOf(sign, signed, table), width);
    });
  }
}

/** Strokes a line on a wider one, dark under a light line and light under a dark one, so that any photo shows it. */
function strokeTwice(context, path, color, width) {
  const [red, green, blue] = color;
  const isLight = 0.299 * red + 0.587 * green + 0.114 * blue > 110;
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = isLight ? "rgb(0 0 0 / 70%)" : "rgb(255 255 255 / 80%)";
  context.lineWidth = 2 * width;
  context.stroke(path);
  context.strokeStyle = cssOf(color);
  context.lineWidth = width;
  context.stroke(path);
}

function lineWidth(photo) {
  return Math.max(1.5, Math.max(photo.width, photo.height) / 300);
}

/** Returns the colour of a scaled value, three bytes. */
function colorOf(value, signed, table) {
  return colorAt(table, Math.round(signed ? 127.5 * (value + 1) : 255 * value));
}

const colorAt = (table, step) => table.subarray(3 * step, 3 * step + 3);

/** Returns a colour map as a gradient, for style sheets. */
export function gradientOf(table) {
  const colors = Array.from({ length: 17 }, (_, step) => cssOf(colorOf(step / 16, false, table)));
  return `linear-gradient(to right, ${colors.join(", ")})`;
}

const cssOf = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
