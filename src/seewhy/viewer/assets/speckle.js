/** Regions of heatmaps that are speckled, as `seewhy.images.speckle` computes them. */

/** The standard deviation of the Gaussian, as a share of each side of the heatmap. */
const SIGMA = 0.04;

/** A heatmap that rises above its median by a smaller share of its maximum is flat. */
const ROUNDING = 1e-5;

/**
 * Smooths a heatmap, subtracts its median, and scales it to its maximum; returns a new heatmap.
 *
 * In a signed heatmap, evidence for the target and evidence against it are smoothed apart.
 */
export function smoothRegions(heatmap) {
  const regions = oneSign(heatmap, 1);
  if (heatmap.signed) {
    const against = oneSign(heatmap, -1);
    regions.forEach((value, cell) => {
      regions[cell] = value >= against[cell] ? value : -against[cell];
    });
  }
  return { ...heatmap, cells: regions };
}

function oneSign({ rows, columns, cells }, sign) {
  const positive = cells.map((value) => Math.max(sign * value, 0));
  const alongRows = blur(positive, rows, columns, columns, 1);
  const smoothed = blur(alongRows, columns, rows, 1, columns);
  const level = median(smoothed);
  const regions = smoothed.map((value) => Math.max(value - level, 0));
  const largestOf = (values) => values.reduce((largest, value) => Math.max(largest, value), 0);
  const peak = largestOf(regions);
  const isFlat = peak <= ROUNDING * largestOf(smoothed);
  return regions.map((value) => (isFlat ? 0 : value / peak));
}

/** Blurs `count` lines of `length` cells; cells of a line are `step` apart, and lines `stride`. */
function blur(cells, count, length, stride, step) {
  const sigma = SIGMA * length;
  const reach = Math.min(length - 1, Math.ceil(6 * sigma));
  const weights = Float64Array.from({ length: reach + 1 }, (_, distance) => Math.exp(-0.5 * (distance / sigma) ** 2));
  const blurred = new Float32Array(cells.length);
  for (let line = 0; line < count; line += 1) {
    for (let i = 0; i < length; i += 1) {
      let sum = 0;
      let total = 0;
      for (let j = Math.max(i - reach, 0); j <= Math.min(i + reach, length - 1); j += 1) {
        const weight = weights[Math.abs(i - j)];
        sum += weight * cells[line * stride + j * step];
        total += weight;
      }
      blurred[line * stride + i * step] = sum / total;
    }
  }
  return blurred;
}

function median(values) {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
