/** Decodes photos, and makes the model's input of their pixels. Nothing of a photo leaves the browser. */

import { inputGeometry } from "./geometry.js";
import { createResizer } from "./resampling.js";

const MAX_BYTES = 200_000_000;
const MAX_PIXELS = 80_000_000;
const MAX_SIDE = 16_384; // of what browsers decode
const STRIP_PIXELS = 2_000_000; // a canvas of a whole photo is too large for some phones

/** A photo cannot be explained; the message says why, and what to do. */
export class PhotoError extends Error {}

/**
 * Decodes a file, upright according to its EXIF data, and returns {name, width, height, file, bitmap}.
 *
 * Colour profiles are ignored, as Python ignores them: models are trained on the stored values.
 */
export async function openPhoto(file) {
  const name = file.name || "The pasted image";
  if (file.size === 0) {
    throw new PhotoError(`${name} is empty, or a folder. Choose an image file.`);
  }
  if (file.size > MAX_BYTES) {
    throw new PhotoError(`${name} has more than ${MAX_BYTES / 1e6} MB. Choose a smaller image.`);
  }
  await checkSize(file, name);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch (error) {
    throw undecodable(name, error);
  }
  return { name, width: bitmap.width, height: bitmap.height, file, bitmap };
}

/** Reads the size of an image from its header, so that one that is too large is not decoded. */
async function checkSize(file, name) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(undecodable(name));
    });
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
      throw new PhotoError(
        `${name} is too large (${width} x ${height} pixels); the limits are ${MAX_PIXELS / 1e6} million pixels and ` +
          `${MAX_SIDE.toLocaleString("en")} a side. Scale it down first.`,
      );
    }
  } finally {
    URL.revokeObjectURL(url);
  }
}

function undecodable(name, cause) {
  const advice = "Choose a JPEG, PNG, WebP or GIF file; photos in HEIC can be saved as JPEG.";
  return new PhotoError(`${name} is not an image that this browser can show, or it is damaged. ${advice}`, { cause });
}

/**
 * Returns the model's input of a photo: {pixels, box, isOpaque}. `pixels` is a Uint8Array of height x width x 3, `box`
 * the [top, left, bottom, right] of the input on the photo. Transparent pixels are blended with white.
 */
export function readInput(photo, preprocessing) {
  const geometry = inputGeometry(preprocessing, photo.height, photo.width);
  const resizer = createResizer(photo, geometry, preprocessing.resample);
  const mayBeTransparent = photo.file.type !== "image/jpeg";
  const [first, last] = mayBeTransparent ? [0, photo.height] : resizer.rows;
  let isOpaque = true;
  for (const strip of readStrips(photo, first, last)) {
    const { rgb, isOpaque: isStripOpaque } = blendWithWhite(strip.pixels);
    isOpaque &&= isStripOpaque;
    resizer.push(rgb, strip.first, strip.count);
  }
  return { pixels: resizer.finish(), box: geometry.box, isOpaque };
}

/** Yields the rows first..last-1 of a photo, a few at a time: {pixels, first, count}, four bytes a pixel. */
function* readStrips({ bitmap, width }, first, last) {
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  const context = createCanvas(width, Math.min(rows, last - first));
  for (let row = first; row < last; row += rows) {
    const count = Math.min(rows, last - row);
    context.clearRect(0, 0, width, count);
    context.drawImage(bitmap, 0, row, width, count, 0, 0, width, count);
    yield { pixels: context.getImageData(0, 0, width, count).data, first: row, count };
  }
}

function createCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false; // pixels are copied
  return context;
}

function blendWithWhite(rgba) {
  const rgb = new Uint8ClampedArray((rgba.length / 4) * 3);
  let isOpaque = true;
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    isOpaque &&= alpha === 255;
    for (let channel = 0; channel < 3; channel += 1) {
      const value = rgba[from + channel];
      rgb[to + channel] = alpha === 255 ? value : 255 + ((value - 255) * alpha) / 255;
    }
  }
  return { rgb, isOpaque };
}

/**
 * Returns whether a page can read the pixels that it draws. Browsers that resist fingerprinting give noise instead, of
 * which a model would see something that is not there.
 */
export function canReadPixels() {
  const image = new ImageData(8, 8);
  image.data.forEach((_, i) => (image.data[i] = i % 4 === 3 ? 255 : (37 * i) % 256));
  const context = createCanvas(8, 8);
  context.putImageData(image, 0, 0);
  const read = context.getImageData(0, 0, 8, 8).data;
  return image.data.every((value, i) => value === read[i]);
}

/** Returns the blob: URL of a photo on white, as a PNG. */
export async function drawnPhotoUrl(photo) {
  const { canvas } = drawOnWhite(photo, 1);
  return URL.createObjectURL(await new Promise((resolve) => canvas.toBlob(resolve, "image/png")));
}

/** Returns the data: URL of a photo on white, of at most `maxPixels`, as a JPEG. */
export function photoDataUrl(photo, maxPixels) {
  const scale = Math.min(1, Math.sqrt(maxPixels / (photo.width * photo.height)));
  return drawOnWhite(photo, scale).canvas.toDataURL("image/jpeg", 0.92);
}

function drawOnWhite({ bitmap, width, height }, scale) {
  const context = createCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const { canvas } = context;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  [context.imageSmoothingEnabled, context.imageSmoothingQuality] = [scale < 1, "high"];
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return context;
}
