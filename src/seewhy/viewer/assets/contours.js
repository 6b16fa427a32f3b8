/** Contour lines of a grid of values, by marching squares. */

/** The pairs of sides that a line connects, by which corners are above the level (1, 2, 4, 8 clockwise). */
const CROSSED = [
  [], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
  [[2, 3]], [[2, 0]], [[0, 1], [2, 3]], [[2, 1]], [[1, 3]], [[1, 0]], [[0, 3]], [],
];

/**
 * Returns the segments of the contour lines at a level, each [x1, y1, x2, y2].
 *
 * `values` is a Float32Array (ys x xs) of the values at the points with these coordinates.
 */
export function contourSegments(level, values, ys, xs) {
  const segments = [];
  for (let i = 0; i + 1 < ys.length; i += 1) {
    for (let j = 0; j + 1 < xs.length; j += 1) {
      const at = i * xs.length + j;
      const corners = [values[at], values[at + 1], values[at + xs.length + 1], values[at + xs.length]];
      const above = corners.reduce((bits, value, corner) => bits | (value >= level ? 1 << corner : 0), 0);
      for (const [start, end] of CROSSED[above]) {
        const square = { level, corners, top: ys[i], bottom: ys[i + 1], left: xs[j], right: xs[j + 1] };
        segments.push([...crossing(square, start), ...crossing(square, end)]);
      }
    }
  }
  return segments;
}

/** Returns the point [x, y] at which a side of a square (0 top, 1 right, 2 bottom, 3 left) crosses the level. */
function crossing({ level, corners, top, bottom, left, right }, side) {
  const from = corners[side];
  const to = corners[(side + 1) % 4];
  const fraction = (level - from) / (to - from);
  const x = { 0: left + fraction * (right - left), 1: right, 2: right - fraction * (right - left), 3: left };
  const y = { 0: top, 1: top + fraction * (bottom - top), 2: bottom, 3: bottom - fraction * (bottom - top) };
  return [x[side], y[side]];
}
