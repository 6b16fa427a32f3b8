/** Connected parts of a map, and the boxes round them; the same as `seewhy.images.regions`. */

/**
 * Returns the box round each connected part of the pixels of which `mask` (height x width) is not 0, that of the largest
 * part first: {top, left, bottom, right, pixels}. Pixels that touch at an edge or a corner are connected.
 */
export function boxesOf(mask, width, height) {
  const left = Uint8Array.from(mask);
  const boxes = [];
  for (let pixel = left.indexOf(1); pixel !== -1; pixel = left.indexOf(1, pixel + 1)) {
    boxes.push(takePart(left, pixel, width, height));
  }
  return boxes.sort((a, b) => b.pixels - a.pixels);
}

/** Takes the part that a pixel belongs to out of `left`, and returns its box. */
function takePart(left, pixel, width, height) {
  const waiting = [pixel];
  left[pixel] = 0;
  const box = { top: height, left: width, bottom: 0, right: 0, pixels: 0 };
  while (waiting.length > 0) {
    const here = waiting.pop();
    const y = Math.floor(here / width);
    const x = here - y * width;
    widen(box, y, x);
    for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row += 1) {
      for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column += 1) {
        const near = row * width + column;
        if (left[near]) {
          left[near] = 0;
          waiting.push(near);
        }
      }
    }
  }
  return box;
}

function widen(box, y, x) {
  box.top = Math.min(box.top, y);
  box.left = Math.min(box.left, x);
  box.bottom = Math.max(box.bottom, y + 1);
  box.right = Math.max(box.right, x + 1);
  box.pixels += 1;
}
