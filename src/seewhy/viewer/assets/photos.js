/** Decodes the photos, heatmaps and colour maps of the viewer's input. */

import { bytesFromBase64, floatsFromBase64 } from "./numbers.js";

/** A photo with more pixels is drawn smaller, so that drawing keeps up with the pointer; it is saved in full. */
export const SHOWN_PIXELS = 1_200_000;

/** Returns the colour maps: names to 256 colours of three bytes. */
export function decodeColormaps(data) {
  return Object.fromEntries(Object.entries(data.colormaps).map(([name, base64]) => [name, bytesFromBase64(base64)]));
}

/** Returns an image's entry with the heatmap of each target decoded into `cells`, and its `box`, or null. */
export function decodeHeatmaps(image) {
  const decoded = (target) => ({ ...target, box: target.box ?? null, cells: floatsFromBase64(target.heatmap) });
  const explanations = image.explanations.map((explanation) => ({
    ...explanation,
    targets: explanation.targets.map(decoded),
  }));
  return { ...image, explanations };
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
