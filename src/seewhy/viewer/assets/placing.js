/**
 * Bringing a small heatmap onto the image, bilinearly; the same as `seewhy.images.geometry.Placement.place`.
 *
 * Points are in pixels of the image, edges counted from its top left corner: pixel p has its centre at p + 0.5.
 */

/** Returns the centres of `pixels` equal pixels that fill 0..extent. */
export function centresOf(pixels, extent) {
  return Float64Array.from({ length: pixels }, (_, pixel) => ((pixel + 0.5) * extent) / pixels);
}

/**
 * Finds, along one axis, where points fall among the cells that fill start..stop.
 *
 * Returns `before`, the cell whose centre is before each point, `next`, the cell after it, and `share`, how much that
 * one counts; and `from` and `to`: of the points, which are in order, those from..to-1 are inside.
 */
function cellsAt(points, cells, start, stop) {
  const before = new Int32Array(points.length);
  const next = new Int32Array(points.length);
  const share = new Float32Array(points.length);
  let from = points.length;
  let to = 0;
  points.forEach((point, i) => {
    const position = Math.min(Math.max(((point - start) / (stop - start)) * cells - 0.5, 0), cells - 1);
    before[i] = Math.floor(position);
    next[i] = Math.min(before[i] + 1, cells - 1);
    share[i] = position - before[i];
    if (start <= point && point < stop) {
      from = Math.min(from, i);
      to = i + 1;
    }
  });
  return { before, next, share, from: Math.min(from, to), to };
}

/**
 * Brings a map onto points of the image.
 *
 * `map` is {rows, columns, cells, box}: cells are Float32Array (rows x columns), box is [top, left, bottom, right].
 * `used` is an array that is no longer needed, to write into. Returns `values`, Float32Array (ys x xs), 0 outside the
 * box; and `top`, `bottom`, `left`, `right`: which of the rows and columns of points are inside.
 */
export function placed(map, ys, xs, used = null) {
  const [top, left, bottom, right] = map.box;
  const y = cellsAt(ys, map.rows, top, bottom);
  const x = cellsAt(xs, map.columns, left, right);
  const isFit = used?.length === ys.length * xs.length;
  const values = isFit ? used.fill(0) : new Float32Array(ys.length * xs.length);
  const row = new Float32Array(map.columns);
  const { before, next, share } = x;
  for (let i = y.from; i < y.to; i += 1) {
    blendRows(row, map, y.before[i], y.next[i], y.share[i]);
    const start = i * xs.length;
    for (let j = x.from; j < x.to; j += 1) {
      const value = row[before[j]];
      values[start + j] = value + share[j] * (row[next[j]] - value);
    }
  }
  return { values, top: y.from, bottom: y.to, left: x.from, right: x.to };
}

function blendRows(row, map, before, next, share) {
  const upper = before * map.columns;
  const lower = next * map.columns;
  for (let column = 0; column < map.columns; column += 1) {
    row[column] = (1 - share) * map.cells[upper + column] + share * map.cells[lower + column];
  }
}

/** Returns the value of a map at one point of the image, or null where the model did not see it. */
export function valueAt(map, y, x) {
  const found = placed(map, [y], [x]);
  return found.bottom > found.top && found.right > found.left ? found.values[0] : null;
}
