/**
 * Resizes pixels as Pillow's `Image.resize` does, to the last bit: the model was trained on, and is tested with, such
 * images, and what a browser's canvas makes of a photo differs from browser to browser.
 *
 * Each row, then each column, is convolved with a filter that widens as the image shrinks, in fixed point; the result of
 * either pass is rounded to 8 bits.
 */

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);

/** The filters: how far each reaches, in pixels of the larger image, and its value at a distance. */
const FILTERS = {
  bilinear: { support: 1, valueAt: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, valueAt: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, valueAt: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

const CUBIC = -0.5;

function cubic(x) {
  if (x < 1) {
    return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1;
  }
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * CUBIC : 0;
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/**
 * Returns, for each output pixel of first..last-1 along one axis, the input pixels that it averages and their weights:
 * {starts, counts, weights, stride}, where those of output i begin at i * stride.
 *
 * `from` and `to` are the edges on the input of all `outputs` pixels.
 */
function axisWeights(inputs, from, to, outputs, first, last, filterName) {
  if (filterName === "nearest") {
    return nearestPixels(inputs, from, to, outputs, first, last);
  }
  const { support: reach, valueAt } = FILTERS[filterName];
  const start = Math.fround(from); // Pillow takes the edges in single precision
  const scale = Math.fround(Math.fround(to) - start) / outputs;
  const stretch = Math.max(scale, 1);
  const support = reach * stretch;
  const stride = 2 * Math.ceil(support) + 1;
  const count = Math.max(0, last - first);
  const [starts, counts] = [new Int32Array(count), new Int32Array(count)];
  const weights = new Int32Array(count * stride);
  const values = new Float64Array(stride);
  for (let i = 0; i < count; i += 1) {
    const centre = start + (first + i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const size = Math.min(inputs, Math.trunc(centre + support + 0.5)) - begin;
    let sum = 0;
    for (let k = 0; k < size; k += 1) {
      values[k] = valueAt((begin + k - centre + 0.5) * (1 / stretch));
      sum += values[k];
    }
    for (let k = 0; k < size; k += 1) {
      const weight = (sum === 0 ? values[k] : values[k] / sum) * (1 << PRECISION_BITS);
      weights[i * stride + k] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    [starts[i], counts[i]] = [begin, size];
  }
  return { starts, counts, weights, stride };
}

function nearestPixels(inputs, from, to, outputs, first, last) {
  const start = Math.fround(from);
  const scale = Math.fround(Math.fround(to) - start) / outputs;
  const count = Math.max(0, last - first);
  const starts = new Int32Array(count);
  let position = start + scale * 0.5;
  for (let i = 0; i < last; i += 1, position += scale) {
    if (i >= first) {
      starts[i - first] = Math.min(Math.trunc(position), inputs - 1);
    }
  }
  const one = 1 << PRECISION_BITS;
  return { starts, counts: new Int32Array(count).fill(1), weights: new Int32Array(count).fill(one), stride: 1 };
}

/**
 * Creates a resizer, which is given the rows of an image from the top to the bottom, so that a large photo need not be in
 * memory as a whole.
 *
 * Args: the {width, height} of the image; the `geometry` of the input (geometry.js); and the filter's name. `rows` are
 * [first, last) of those that are needed. `push(rgb, first, count)` takes rows, three bytes a pixel; `finish()` returns
 * the input, a Uint8Array of three bytes a pixel, black where it extends beyond the image.
 */
export function createResizer({ width, height }, geometry, filterName) {
  const { source, resized, window, size } = geometry;
  const [top, left] = [Math.max(window.top, 0), Math.max(window.left, 0)];
  const bottom = Math.min(window.top + size.height, resized.height);
  const right = Math.min(window.left + size.width, resized.width);
  const x = axisWeights(width, source.left, source.right, resized.width, left, right, filterName);
  const y = axisWeights(height, source.top, source.bottom, resized.height, top, bottom, filterName);
  const columns = Math.max(0, right - left);
  const rows = neededRows(y);
  const narrowed = new Uint8ClampedArray(Math.max(0, rows[1] - rows[0]) * columns * 3);

  function push(rgb, first, count) {
    for (let row = Math.max(first, rows[0]); row < Math.min(first + count, rows[1]); row += 1) {
      narrowRow(rgb, (row - first) * width * 3, x, columns, narrowed, (row - rows[0]) * columns * 3);
    }
  }

  function finish() {
    const input = new Uint8Array(size.height * size.width * 3);
    for (let row = top; row < bottom; row += 1) {
      const target = ((row - window.top) * size.width + left - window.left) * 3;
      averageRows(narrowed, columns * 3, y, row - top, rows[0], input, target);
    }
    return input;
  }

  return { rows, push, finish };
}

function neededRows({ starts, counts }) {
  const lastRow = starts.length - 1;
  return lastRow < 0 ? [0, 0] : [starts[0], starts[lastRow] + counts[lastRow]];
}

function narrowRow(rgb, offset, { starts, counts, weights, stride }, columns, result, target) {
  for (let column = 0; column < columns; column += 1) {
    let [red, green, blue] = [HALF, HALF, HALF];
    let pixel = offset + 3 * starts[column];
    for (let k = column * stride, end = k + counts[column]; k < end; k += 1, pixel += 3) {
      const weight = weights[k];
      red = (red + Math.imul(rgb[pixel], weight)) | 0;
      green = (green + Math.imul(rgb[pixel + 1], weight)) | 0;
      blue = (blue + Math.imul(rgb[pixel + 2], weight)) | 0;
    }
    result[target + 3 * column] = red >> PRECISION_BITS; // clamped to 0..255
    result[target + 3 * column + 1] = green >> PRECISION_BITS;
    result[target + 3 * column + 2] = blue >> PRECISION_BITS;
  }
}

function averageRows(narrowed, rowBytes, { starts, counts, weights, stride }, i, firstRow, result, target) {
  const clamped = new Uint8ClampedArray(result.buffer, target, rowBytes);
  for (let byte = 0; byte < rowBytes; byte += 1) {
    let sum = HALF;
    let value = (starts[i] - firstRow) * rowBytes + byte;
    for (let k = i * stride, end = k + counts[i]; k < end; k += 1, value += rowBytes) {
      sum = (sum + Math.imul(narrowed[value], weights[k])) | 0;
    }
    clamped[byte] = sum >> PRECISION_BITS;
  }
}
