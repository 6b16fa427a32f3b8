/**
 * Draws a heatmap on its photo: as colours blended in, or as contour lines or boxes.
 *
 * The colours are those of `seewhy.images.overlay`, and the boxes those of `Explanation.boxes`. The cells of a heatmap
 * are scaled already: to 0..1, or to -1..1 if it is signed; the middle of a signed heatmap is transparent.
 */

import { boundingBoxes } from "./bounding_boxes.js";
import { contourSegments } from "./contours.js";
import { pixelCentres, placeHeatmap } from "./placement.js";
import { smoothRegions } from "./speckle.js";

const CONTOUR_GRID = 160;
const CONTOUR_LEVELS = 4;

/**
 * Draws a heatmap on its photo.
 *
 * `photo` is {width, height, pixels}; `heatmap` is as in placement.js, with `extent` {width, height}, the size of the
 * image that its box refers to, `signed` and `speckled`, and `largest`, the largest absolute value of the recording that
 * it is a frame of, or null; `style` is {mode, alpha, threshold, colors}: "overlay", "heatmap",
 * "contour" or "box", two numbers in 0..1, and 256 colours of three bytes.
 */
export function draw(context, photo, heatmap, style) {
  const image = imageDataOf(context.canvas, photo);
  if (style.mode === "overlay" || style.mode === "heatmap") {
    const white = () => new Int32Array(photo.width * photo.height).fill(-1);
    const background = style.mode === "overlay" ? packPixels(photo.pixels) : white();
    const table = blendTable(heatmap.signed, style);
    blend(packPixels(image.data), background, photo.width, placeOn(photo, heatmap), table, heatmap.largest);
  } else {
    image.data.set(photo.pixels);
  }
  context.putImageData(image, 0, 0);
  if (style.mode === "contour") {
    drawContours(context, photo, heatmap, style);
  } else if (style.mode === "box") {
    drawBoxes(context, photo, placeOn(photo, regionsOf(heatmap)).values, heatmap, style);
  }
}

const regionsCache = new WeakMap();

/** Returns the heatmap whose regions have boxes: the same each time, so that it is smoothed once. */
function regionsOf(heatmap) {
  if (!heatmap.speckled) {
    return heatmap;
  }
  return regionsCache.get(heatmap) ?? regionsCache.set(heatmap, smoothRegions(heatmap)).get(heatmap);
}

const imageDataCache = new WeakMap();

/** Returns the pixel buffer of a canvas, the same each time: allocating one would take longer than filling it. */
function imageDataOf(canvas, photo) {
  const cached = imageDataCache.get(canvas);
  if (cached?.width === photo.width && cached.height === photo.height) {
    return cached;
  }
  const image = new ImageData(photo.width, photo.height);
  imageDataCache.set(canvas, image);
  return image;
}

let lastPlaced = { heatmap: null, photo: null, result: { values: null, colorIndices: null } };

/**
 * Resizes a heatmap to a photo's pixels, as `placeHeatmap` does, and adds `colorIndices`, the colour of each value.
 *
 * The last result is cached, as moving a slider draws the same heatmap many times.
 */
function placeOn(photo, heatmap) {
  if (lastPlaced.heatmap !== heatmap || lastPlaced.photo !== photo) {
    const ys = pixelCentres(photo.height, heatmap.extent.height);
    const xs = pixelCentres(photo.width, heatmap.extent.width);
    const buffers = lastPlaced.result;
    const placed = placeHeatmap(heatmap, ys, xs, buffers.values);
    const colorIndices = indicesOf(placed.values, heatmap.signed, buffers.colorIndices);
    lastPlaced = { heatmap, photo, result: { ...placed, colorIndices } };
  }
  return lastPlaced.result;
}

/** Returns the index, 0 to 255, of each value's colour. `buffer` is an array to reuse if its size fits. */
function indicesOf(values, signed, buffer) {
  const indices = buffer?.length === values.length ? buffer : new Uint8Array(values.length);
  const [scale, offset] = signed ? [127.5, 128] : [255, 0.5];
  for (let i = 0; i < values.length; i += 1) {
    indices[i] = scale * values[i] + offset;
  }
  return indices;
}

/** Returns pixels as one integer each: red in the lowest byte, then green, blue and alpha. */
const packPixels = (pixels) => new Int32Array(pixels.buffer);

/** Returns the smallest absolute value that is shown: a fraction of `known`, or if that is null of the largest. */
function lowestShown(values, threshold, known) {
  if (threshold === 0) {
    return 0;
  }
  let largest = known ?? 0;
  for (let i = 0; known === null && i < values.length; i += 1) {
    const size = values[i] < 0 ? -values[i] : values[i];
    largest = size > largest ? size : largest;
  }
  return Math.max(threshold * largest, Number.MIN_VALUE);
}

/**
 * Returns how each of the 256 colours is blended, in 256ths: `backgroundWeight`, and the weighted
 * colour that is added to it, `blueRed` and `green`, at the positions of these channels in a packed pixel.
 *
 * An overlay is (1 - alpha) photo + alpha colour; in a signed heatmap alpha shrinks towards the value 0.
 */
function blendTable(signed, { mode, alpha, threshold, colors }) {
  const maxAlpha = mode === "heatmap" ? 1 : alpha;
  const fades = signed && mode === "overlay";
  const backgroundWeight = new Int32Array(256);
  const blueRed = new Int32Array(256);
  const green = new Int32Array(256);
  for (let index = 0; index < 256; index += 1) {
    const weight = Math.round(256 * maxAlpha * (fades ? Math.abs(index / 127.5 - 1) : 1));
    const [r, g, b] = colorAt(colors, index);
    backgroundWeight[index] = 256 - weight;
    blueRed[index] = weight * ((b << 16) | r) + ROUND_BLUE_RED;
    green[index] = weight * g + ROUND_GREEN;
  }
  return { backgroundWeight, blueRed, green, threshold };
}

/** Added before the division by 256, to round to the nearest: for one channel, and for blue and red at once. */
const ROUND_GREEN = 0x80;
const ROUND_BLUE_RED = 0x800080;

/**
 * Blends colours into the packed pixels of a background, where a value is at or above the threshold.
 *
 * This runs for every pixel at every change, so blue and red, which have a free byte between them, are multiplied at
 * once.
 */
function blend(pixels, background, width, { values, colorIndices, top, bottom, left, right }, table, largest) {
  const { backgroundWeight, blueRed, green, threshold } = table;
  const lowest = lowestShown(values, threshold, largest);
  pixels.set(background);
  for (let y = top; y < bottom; y += 1) {
    for (let i = y * width + left, end = y * width + right; i < end; i += 1) {
      if (threshold === 0 || values[i] >= lowest || -values[i] >= lowest) {
        const index = colorIndices[i];
        const weight = backgroundWeight[index];
        const pixel = background[i];
        const mixedBlueRed = (Math.imul(pixel & 0xff00ff, weight) + blueRed[index]) >>> 8;
        const mixedGreen = Math.imul((pixel >>> 8) & 0xff, weight) + green[index];
        pixels[i] = 0xff000000 | (mixedBlueRed & 0xff00ff) | (mixedGreen & 0xff00);
      }
    }
  }
}

/** Draws contour lines at the threshold and at levels above it, in the colours of their values. */
function drawContours(context, photo, heatmap, { threshold, colors }) {
  const [top, left, bottom, right] = heatmap.box;
  const input = heatmap.input ?? heatmap.box;
  const gridBetween = (from, to) => pixelCentres(CONTOUR_GRID, to - from).map((point) => from + point);
  const ys = gridBetween(Math.max(top, input[0], 0), Math.min(bottom, input[2], heatmap.extent.height));
  const xs = gridBetween(Math.max(left, input[1], 0), Math.min(right, input[3], heatmap.extent.width));
  const { values } = placeHeatmap(heatmap, ys, xs);
  const largest = heatmap.largest ?? values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0) {
    return;
  }
  const scale = { x: photo.width / heatmap.extent.width, y: photo.height / heatmap.extent.height };
  for (const sign of heatmap.signed ? [-1, 1] : [1]) {
    for (let step = 0; step < CONTOUR_LEVELS; step += 1) {
      const level = sign * largest * Math.max(threshold + ((1 - threshold) * step) / CONTOUR_LEVELS, 0.01);
      const path = new Path2D();
      for (const [x1, y1, x2, y2] of contourSegments(level, values, ys, xs)) {
        path.moveTo(x1 * scale.x, y1 * scale.y);
        path.lineTo(x2 * scale.x, y2 * scale.y);
      }
      strokeWithHalo(context, path, colorOf(level, heatmap.signed, colors), lineWidth(photo));
    }
  }
}

/** Draws boxes around the connected regions above the threshold; the box of the largest region is thick. */
function drawBoxes(context, photo, values, { signed, speckled, largest }, { threshold, colors }) {
  const lowest = Math.max(lowestShown(values, threshold, speckled ? null : largest), Number.MIN_VALUE);
  for (const sign of signed ? [-1, 1] : [1]) {
    const boxes = boundingBoxes(sign === 1 ? values : values.map((value) => -value), lowest, photo.width);
    boxes.reverse().forEach((box, position) => {
      const path = new Path2D();
      path.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      const width = lineWidth(photo) * (position === boxes.length - 1 ? 2 : 1);
      strokeWithHalo(context, path, colorOf(sign, signed, colors), width);
    });
  }
}

/** Strokes a line on a wider one, dark under light colours and light under dark ones, to be visible on any photo. */
function strokeWithHalo(context, path, color, width) {
  const [red, green, blue] = color;
  const isLight = 0.299 * red + 0.587 * green + 0.114 * blue > 110;
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = isLight ? "rgb(0 0 0 / 70%)" : "rgb(255 255 255 / 80%)";
  context.lineWidth = 2 * width;
  context.stroke(path);
  context.strokeStyle = cssColor(color);
  context.lineWidth = width;
  context.stroke(path);
}

function lineWidth(photo) {
  return Math.max(1.5, Math.max(photo.width, photo.height) / 300);
}

/** Returns the colour of a scaled value, three bytes. */
function colorOf(value, signed, colors) {
  return colorAt(colors, Math.round(signed ? 127.5 * (value + 1) : 255 * value));
}

const colorAt = (colors, index) => colors.subarray(3 * index, 3 * index + 3);

/** Returns a colour map as a CSS gradient. */
export function colorGradient(colors) {
  const stops = Array.from({ length: 17 }, (_, stop) => cssColor(colorOf(stop / 16, false, colors)));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

const cssColor = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
