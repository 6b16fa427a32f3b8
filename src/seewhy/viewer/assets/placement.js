/**
 * Resizes a small heatmap to the image, bilinearly, as `seewhy.images.geometry.Placement.place` does.
 *
 * Points are in pixels of the image; edges are counted from its top left corner, so pixel p has its centre at p + 0.5.
 */

/** Returns the centres of `pixels` equal pixels that fill 0..extent. */
export function pixelCentres(pixels, extent) {
  return Float64Array.from({ length: pixels }, (_, pixel) => ((pixel + 0.5) * extent) / pixels);
}

/**
 * Computes the interpolation of points along one axis, between the cells that fill start..stop.
 *
 * Returns `before`, the cell whose centre precedes each point; `next`, the cell after it; and `weight`, the weight of
 * `next`. The points are sorted; those in from..to-1 are inside start..stop, and inside first..last.
 */
function interpolation(points, cells, [start, stop], [first, last]) {
  const before = new Int32Array(points.length);
  const next = new Int32Array(points.length);
  const weight = new Float32Array(points.length);
  let from = points.length;
  let to = 0;
  points.forEach((point, i) => {
    const position = Math.min(Math.max(((point - start) / (stop - start)) * cells - 0.5, 0), cells - 1);
    before[i] = Math.floor(position);
    next[i] = Math.min(before[i] + 1, cells - 1);
    weight[i] = position - before[i];
    if (Math.max(start, first) <= point && point < Math.min(stop, last)) {
      from = Math.min(from, i);
      to = i + 1;
    }
  });
  return { before, next, weight, from: Math.min(from, to), to };
}

/**
 * Samples a heatmap at points of the image.
 *
 * `heatmap` is {rows, columns, cells, box, input}: cells is a Float32Array (rows x columns), box is [top, left, bottom,
 * right] of the heatmap, and input that of the model's input, beyond which the model saw nothing of the image.
 * `buffer` is an array to reuse if its size fits. Returns `values`, a Float32Array (ys x xs), which is 0 outside the
 * boxes; and `top`, `bottom`, `left`, `right`: the range of rows and columns of points that are inside both.
 */
export function placeHeatmap(heatmap, ys, xs, buffer = null) {
  const [top, left, bottom, right] = heatmap.box;
  const input = heatmap.input ?? heatmap.box;
  const y = interpolation(ys, heatmap.rows, [top, bottom], [input[0], input[2]]);
  const x = interpolation(xs, heatmap.columns, [left, right], [input[1], input[3]]);
  const fits = buffer?.length === ys.length * xs.length;
  const values = fits ? buffer.fill(0) : new Float32Array(ys.length * xs.length);
  const row = new Float32Array(heatmap.columns);
  const { before, next, weight } = x;
  for (let i = y.from; i < y.to; i += 1) {
    blendRows(row, heatmap, y.before[i], y.next[i], y.weight[i]);
    const start = i * xs.length;
    for (let j = x.from; j < x.to; j += 1) {
      const value = row[before[j]];
      values[start + j] = value + weight[j] * (row[next[j]] - value);
    }
  }
  return { values, top: y.from, bottom: y.to, left: x.from, right: x.to };
}

function blendRows(row, heatmap, before, next, weight) {
  const upper = before * heatmap.columns;
  const lower = next * heatmap.columns;
  for (let column = 0; column < heatmap.columns; column += 1) {
    row[column] = (1 - weight) * heatmap.cells[upper + column] + weight * heatmap.cells[lower + column];
  }
}

/** Returns the value of a heatmap at one point of the image, or null where the model did not see the image. */
export function valueAt(heatmap, y, x) {
  const point = placeHeatmap(heatmap, [y], [x]);
  return point.bottom > point.top && point.right > point.left ? point.values[0] : null;
}
