/** Decodes the photos, heatmaps and colour maps of the viewer's input. */

import { bytesFromBase64, floatsFromBase64 } from "./numbers.js";

/** A photo with more pixels is drawn smaller, so that drawing keeps up with the pointer; it is saved in full. */
export const SHOWN_PIXELS = 1_200_000;

/** Returns the colour maps: names to 256 colours of three bytes. */
export function decodeColormaps(data) {
  return Object.fromEntries(Object.entries(data.colormaps).map(([name, base64]) => [name, bytesFromBase64(base64)]));
}

/**
 * Returns an image's entry with the heatmap of each target decoded into `cells`, and its `box`, or null. Each explanation
 * has `parts`, one for each image of the sample, with its `position` among them, and `choice`, the position of the
 * explanation.
 */
export function decodeHeatmaps(image) {
  const explanations = image.explanations.map((explanation, choice) => {
    const parts = [explanation, ...(explanation.others ?? [])].map((part, position) => ({
      ...part,
      targets: part.targets.map(decodeTarget),
      axes: part.axes && withOffsets(part.axes),
      position,
      choice,
    }));
    return { ...parts[0], parts };
  });
  return { ...image, explanations };
}

function decodeTarget(target) {
  return { ...target, box: target.box ?? null, cells: floatsFromBase64(target.heatmap) };
}

/** Adds to each axis of a recording where its cells begin: a target's are those across the first axis, then the next. */
function withOffsets(axes) {
  let offset = 0;
  return axes.map((axis) => {
    const own = { ...axis, offset };
    offset += axis.depth * axis.rows * axis.columns;
    return own;
  });
}

/** Loads the photo of an image, or throws an error that names the image. */
export async function loadPhoto(image) {
  const bitmap = new Image();
  bitmap.src = image.photo;
  try {
    await bitmap.decode();
  } catch (error) {
    throw new Error(`The photo of ${image.name} cannot be shown: ${error.message}`, { cause: error });
  }
  return bitmap;
}

/** Returns the pixels of a loaded photo, {width, height, pixels}, scaled down to at most `maxPixels`. */
export function photoPixels(bitmap, maxPixels = Infinity) {
  const scale = Math.min(1, Math.sqrt(maxPixels / (bitmap.naturalWidth * bitmap.naturalHeight)));
  const width = Math.max(1, Math.round(bitmap.naturalWidth * scale));
  const height = Math.max(1, Math.round(bitmap.naturalHeight * scale));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { width, height, pixels: context.getImageData(0, 0, width, height).data };
}
