/**
 * The backgrounds that heatmaps are drawn on: the photos of a sample, or of a recording the frame that is shown.
 *
 * A background is {input, width, height, bitmap, photo}: the name of the model's input, or "" for a sample of one image;
 * the size that boxes refer to; the loaded photo, and its pixels as they are shown. Frames have {axis, position, label, noun}
 * too. That of a signal has `signal` instead of photos: `lows` and `highs` of each channel are arrays.
 */

import { floatsFromBase64 } from "./numbers.js";
import { loadPhoto, photoPixels } from "./photos.js";

/**
 * Loads the photos of an image, and adds them as `backgrounds`; those of a recording, which are many, are loaded by
 * `loadFrames`. Backgrounds with more than `maxPixels` are shown smaller. The background of a signal is its values.
 */
export async function loadBackgrounds(image, maxPixels) {
  if (image.signal) {
    const signal = decodeSignal(image.signal);
    return { ...image, backgrounds: [{ input: "", noun: "this signal", width: signal.samples, height: 1, signal }] };
  }
  if (image.recording) {
    return { ...image, backgrounds: [], frames: image.recording.axes.map(() => null) };
  }
  const inputs = image.inputs ?? [{ name: "", width: image.width, height: image.height, photo: image.photo }];
  const load = (input) => loadBackground({ ...input, input: input.name, name: image.name }, maxPixels);
  return { ...image, backgrounds: await Promise.all(inputs.map(load)) };
}

function decodeSignal({ lows, highs, ...facts }) {
  return { ...facts, lows: floatsFromBase64(lows), highs: floatsFromBase64(highs) };
}

/** Loads only the frame with the peak of the first target, as the only frame of a recording. */
export async function loadOneFrame(entry, maxPixels) {
  const [part] = entry.explanations[0].parts;
  const [axis] = entry.recording.axes;
  const frame = axis.frames[strongestFrame(entry, part, part.targets[0], 0)];
  const recording = { ...entry.recording, axes: [{ ...axis, frames: [frame] }] };
  const image = await loadBackgrounds({ ...entry, recording }, maxPixels);
  await loadFrames(image, 0, maxPixels);
  return image;
}

async function loadBackground({ name, photo, ...facts }, maxPixels) {
  const bitmap = await loadPhoto({ name, photo });
  return { ...facts, bitmap, photo: photoPixels(bitmap, maxPixels) };
}

/** Loads the frames of a recording across an axis, once. */
export async function loadFrames(image, axis, maxPixels) {
  const { kind, axes } = image.recording;
  const { frames, width, height } = axes[axis];
  const shared = { name: image.name, input: "", width, height, axis, noun: `this ${kind}` };
  const load = (frame) => loadBackground({ ...shared, ...frame }, maxPixels);
  image.frames[axis] ??= await Promise.all(frames.map(load));
}

/** Returns the background that a part of an explanation (photos.js) is drawn on. `place` is {axis, frame} of a recording. */
export function backgroundOf(image, part, place) {
  return image.recording ? image.frames[place.axis][place.frame] : image.backgrounds[part.position];
}

/**
 * Returns the heatmap {rows, columns, box, input, cells} on a background. `cells` are all of a target's; those of a
 * recording are interpolated linearly along the axis, as in `FrameExplanation.frame_heatmaps`.
 */
export function planeOf(part, cells, background) {
  if (part.axes === undefined) {
    const { rows, columns, box, input } = part;
    return { rows, columns, box, input, cells };
  }
  const { rows, columns, depth, box, extent, offset } = part.axes[background.axis];
  const [start, stop] = extent;
  const centre = background.position + 0.5;
  const size = rows * columns;
  const plane = new Float32Array(size);
  if (start <= centre && centre < stop) {
    const cell = Math.min(Math.max(((centre - start) / (stop - start)) * depth - 0.5, 0), depth - 1);
    const before = Math.floor(cell);
    const [first, second] = [before, Math.min(before + 1, depth - 1)].map((each) => offset + each * size);
    for (let i = 0; i < size; i += 1) {
      plane[i] = cells[first + i] + (cell - before) * (cells[second + i] - cells[first + i]);
    }
  }
  return { rows, columns, box, input: box, cells: plane };
}

/** Returns which of the frames across an axis is the closest to `FrameExplanation.strongest_frame` of a target. */
export function strongestFrame(image, part, target, axis) {
  const { rows, columns, depth, extent, offset } = part.axes[axis];
  const size = rows * columns;
  const count = depth * size;
  let peak = 0;
  for (let i = 1; i < count; i += 1) {
    peak = target.cells[offset + i] > target.cells[offset + peak] ? i : peak;
  }
  const centre = extent[0] + ((Math.floor(peak / size) + 0.5) / depth) * (extent[1] - extent[0]);
  const { frames, count: all } = image.recording.axes[axis];
  const wanted = Math.floor(Math.min(Math.max(centre, 0), all - 1));
  const distances = frames.map(({ position }) => Math.abs(position - wanted));
  return distances.indexOf(Math.min(...distances));
}
