/**
 * Computes which part of a photo is the model's input, as `seewhy.Preprocessing` does.
 *
 * Edges are in pixels and counted from the top left corner of the photo.
 */

/**
 * Returns where the input of a photo of height x width pixels is:
 *
 *   box      [top, left, bottom, right] of the input on the photo; beyond its edges where the input is larger
 *   source   the part of the photo that is resized, {top, left, bottom, right}
 *   resized  the {height, width} to which it is resized
 *   window   the {top, left} of the input on the resized part
 *   size     the {height, width} of the input
 *
 * `preprocessing` is {size, crop, resize}, as in `seewhy.Preprocessing`.
 */
export function inputGeometry({ size: [rows, columns], crop, resize }, height, width) {
  const size = { height: rows, width: columns };
  if (resize !== null) {
    return cutGeometry(size, resizedSize(resize, height, width), height, width);
  }
  const box = crop === null ? [0, 0, height, width] : cropBox(size, crop, height, width);
  const [top, left, bottom, right] = box;
  return { box, source: { top, left, bottom, right }, resized: size, window: { top: 0, left: 0 }, size };
}

/** Returns the centre crop, on whole pixels. */
function cropBox(size, crop, height, width) {
  const scale = crop * Math.min(height / size.height, width / size.width);
  const [cropHeight, cropWidth] = [size.height, size.width].map((side) => Math.max(1, Math.trunc(side * scale + 1e-6)));
  const [top, left] = [Math.floor((height - cropHeight) / 2), Math.floor((width - cropWidth) / 2)];
  return [top, left, top + cropHeight, left + cropWidth];
}

/** Returns the size to which a photo is resized before the input is cut out of it. */
function resizedSize(resize, height, width) {
  if (Array.isArray(resize)) {
    return { height: resize[0], width: resize[1] };
  }
  const longer = Math.trunc((resize * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? { height: longer, width: resize } : { height: resize, width: longer };
}

function cutGeometry(size, resized, height, width) {
  const top = Math.floor((resized.height - size.height) / 2);
  const left = Math.floor((resized.width - size.width) / 2);
  const [down, across] = [height / resized.height, width / resized.width];
  return {
    box: [top * down, left * across, (top + size.height) * down, (left + size.width) * across],
    source: { top: 0, left: 0, bottom: height, right: width },
    resized,
    window: { top, left },
    size,
  };
}
