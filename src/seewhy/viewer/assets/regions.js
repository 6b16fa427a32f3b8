/** Connected parts of a map, and the boxes round them; the same as `seewhy.images.regions`. */

/**
 * Returns the box round each connected part of the pixels whose value is at least `lowest`, that of the largest part
 * first: {top, left, bottom, right, pixels}. Pixels that touch at an edge or a corner are connected.
 */
export function boxesOf(values, lowest, width) {
  const boxes = [];
  let above = [];
  for (let top = 0; top * width < values.length; top += 1) {
    const runs = runsIn(values, lowest, top, width);
    let first = 0;
    for (const run of runs) {
      while (first < above.length && above[first].right < run.left) {
        first += 1;
      }
      for (let i = first; i < above.length && above[i].left <= run.right; i += 1) {
        run.box = joined(run.box, partOf(above[i].box));
      }
      boxes.push(run.box);
    }
    above = runs;
  }
  return [...new Set(boxes.map(partOf))].sort((a, b) => b.pixels - a.pixels);
}

/** Returns the runs of pixels of one row, each in a box of its own at first; `right` is the pixel after the last. */
function runsIn(values, lowest, top, width) {
  const runs = [];
  const end = (top + 1) * width;
  for (let i = top * width; i < end; i += 1) {
    if (values[i] >= lowest) {
      const left = i - top * width;
      while (i < end && values[i] >= lowest) {
        i += 1;
      }
      const right = i - top * width;
      runs.push({ left, right, box: { top, left, bottom: top + 1, right, pixels: right - left, within: null } });
    }
  }
  return runs;
}

/** Returns the box of the part that a box has become part of. */
function partOf(box) {
  let part = box;
  while (part.within !== null) {
    part = part.within;
  }
  return part;
}

/** Makes one part of two, and returns its box. */
function joined(one, other) {
  const [into, from] = [partOf(one), partOf(other)];
  if (into !== from) {
    into.top = Math.min(into.top, from.top);
    into.left = Math.min(into.left, from.left);
    into.bottom = Math.max(into.bottom, from.bottom);
    into.right = Math.max(into.right, from.right);
    into.pixels += from.pixels;
    from.within = into;
  }
  return into;
}
