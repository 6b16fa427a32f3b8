/** Lines of equal value through a grid: marching squares. */

/** The sides of a square that a line crosses, in pairs, by which corners are above the level (1, 2, 4, 8 clockwise). */
const CROSSED = [
  [], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
  [[2, 3]], [[2, 0]], [[0, 1], [2, 3]], [[2, 1]], [[1, 3]], [[1, 0]], [[0, 3]], [],
];

/**
 * Returns the pieces of the lines at which values pass a level, each [x1, y1, x2, y2].
 *
 * `values` are Float32Array (ys x xs), at the points of these coordinates.
 */
export function linesAt(level, values, ys, xs) {
  const pieces = [];
  for (let i = 0; i + 1 < ys.length; i += 1) {
    for (let j = 0; j + 1 < xs.length; j += 1) {
      const at = i * xs.length + j;
      const corners = [values[at], values[at + 1], values[at + xs.length + 1], values[at + xs.length]];
      const above = corners.reduce((bits, value, corner) => bits | (value >= level ? 1 << corner : 0), 0);
      for (const [one, other] of CROSSED[above]) {
        const square = { level, corners, top: ys[i], bottom: ys[i + 1], left: xs[j], right: xs[j + 1] };
        pieces.push([...crossing(square, one), ...crossing(square, other)]);
      }
    }
  }
  return pieces;
}

/** Returns where on a side of a square (0 top, 1 right, 2 bottom, 3 left) the level is passed, as [x, y]. */
function crossing({ level, corners, top, bottom, left, right }, side) {
  const from = corners[side];
  const to = corners[(side + 1) % 4];
  const share = (level - from) / (to - from);
  const x = { 0: left + share * (right - left), 1: right, 2: right - share * (right - left), 3: left };
  const y = { 0: top, 1: top + share * (bottom - top), 2: bottom, 3: bottom - share * (bottom - top) };
  return [x[side], y[side]];
}
