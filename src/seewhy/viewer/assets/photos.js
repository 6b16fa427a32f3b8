/** Photos and maps out of a document, ready to be drawn. */

import { bytesOf, floatsOf } from "./numbers.js";

/** Above so many pixels a photo is drawn smaller on the page, so that it follows the hand; it is saved in full. */
export const SHOWN_PIXELS = 1_200_000;

/** Returns the colour maps of a document: names to 256 colours of three bytes. */
export function tablesOf(content) {
  return Object.fromEntries(Object.entries(content.colormaps).map(([name, base64]) => [name, bytesOf(base64)]));
}

/** Returns an image's entry with its maps' values as numbers, `cells`. */
export function withCells(image) {
  const decoded = (target) => ({ ...target, cells: floatsOf(target.values) });
  return { ...image, maps: image.maps.map((maps) => ({ ...maps, targets: maps.targets.map(decoded) })) };
}

/** Loads an image's photo, or throws an error that says which one cannot be shown. */
export async function loadPhoto(image) {
  const bitmap = new Image();
  bitmap.src = image.photo;
  try {
    await bitmap.decode();
  } catch (error) {
    throw new Error(`The photo ${image.name} cannot be shown: ${error.message}`, { cause: error });
  }
  return bitmap;
}

/** Returns a loaded photo's pixels, {width, height, pixels}, at its own size or shrunk to `most` pixels. */
export function pixelsOf(bitmap, most = Infinity) {
  const shrink = Math.min(1, Math.sqrt(most / (bitmap.naturalWidth * bitmap.naturalHeight)));
  const width = Math.max(1, Math.round(bitmap.naturalWidth * shrink));
  const height = Math.max(1, Math.round(bitmap.naturalHeight * shrink));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { width, height, pixels: context.getImageData(0, 0, width, height).data };
}
