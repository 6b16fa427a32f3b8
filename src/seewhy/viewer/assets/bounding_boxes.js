/** Bounding boxes of the connected regions of a heatmap, as `seewhy.images.bounding_boxes` computes them. */

/**
 * Returns the bounding box {top, left, bottom, right, pixels} of each connected region of pixels with at least the
 * value `lowest`, that of the largest region first. Pixels that share an edge or a corner are connected.
 */
export function boundingBoxes(values, lowest, width) {
  const boxes = [];
  let above = [];
  for (let top = 0; top * width < values.length; top += 1) {
    const runs = runsInRow(values, lowest, top, width);
    let first = 0;
    for (const run of runs) {
      while (first < above.length && above[first].right < run.left) {
        first += 1;
      }
      for (let i = first; i < above.length && above[i].left <= run.right; i += 1) {
        run.box = merge(run.box, rootBox(above[i].box));
      }
      boxes.push(run.box);
    }
    above = runs;
  }
  return [...new Set(boxes.map(rootBox))].sort((a, b) => b.pixels - a.pixels);
}

/** Returns the runs of pixels of one row, each with a box of its own; `right` is the pixel after the last. */
function runsInRow(values, lowest, top, width) {
  const runs = [];
  const end = (top + 1) * width;
  for (let i = top * width; i < end; i += 1) {
    if (values[i] >= lowest) {
      const left = i - top * width;
      while (i < end && values[i] >= lowest) {
        i += 1;
      }
      const right = i - top * width;
      runs.push({ left, right, box: { top, left, bottom: top + 1, right, pixels: right - left, parent: null } });
    }
  }
  return runs;
}

/** Returns the box of the whole region that a box was merged into. */
function rootBox(box) {
  let root = box;
  while (root.parent !== null) {
    root = root.parent;
  }
  return root;
}

/** Merges the regions of two boxes, and returns the box of the result. */
function merge(box, other) {
  const [into, from] = [rootBox(box), rootBox(other)];
  if (into !== from) {
    into.top = Math.min(into.top, from.top);
    into.left = Math.min(into.left, from.left);
    into.bottom = Math.max(into.bottom, from.bottom);
    into.right = Math.max(into.right, from.right);
    into.pixels += from.pixels;
    from.parent = into;
  }
  return into;
}
