/** Draws contents of panes, and the frames of detections as `seewhy.images.overlay.outlined` draws them. */

import { draw } from "./renderer.js";

/** The lines of a frame are as wide as the shorter side of the image divided by this. */
const LINES = 300;

/**
 * Draws the content of a pane (pane_contents.js) in a style (renderer.js), on a photo {width, height, pixels}: the photo
 * alone where there is no heatmap. Sets the size of the canvas.
 */
export function drawContent(canvas, photo, content, style) {
  if (canvas.width !== photo.width || canvas.height !== photo.height) {
    [canvas.width, canvas.height] = [photo.width, photo.height];
  }
  const context = canvas.getContext("2d");
  if (content.heatmap === null) {
    context.putImageData(new ImageData(new Uint8ClampedArray(photo.pixels), photo.width, photo.height), 0, 0);
  } else {
    draw(context, photo, content.heatmap, style);
  }
}

/**
 * Draws the frames of the detections of a content: white lines between dark ones. Edges outside of the image are not
 * drawn.
 */
export function drawFrames(canvas, { frames, background: extent }, lines = LINES) {
  const { width: columns, height: rows } = canvas;
  const context = canvas.getContext("2d");
  const line = Math.max(1, Math.round(Math.min(columns, rows) / lines));
  for (const box of frames) {
    const [top, bottom] = [box[0], box[2]].map((edge) => Math.round((edge * rows) / extent.height));
    const [left, right] = [box[1], box[3]].map((edge) => Math.round((edge * columns) / extent.width));
    for (const [inset, colour] of [[-line, "#000000"], [line, "#000000"], [0, "#ffffff"]]) {
      const [y, x] = [top + inset, left + inset];
      const [height, width] = [Math.max(bottom - inset - y, 0), Math.max(right - inset - x, 0)];
      context.fillStyle = colour;
      context.fillRect(x, y, width, line);
      context.fillRect(x, bottom - inset - line, width, line);
      context.fillRect(x, y, line, height);
      context.fillRect(right - inset - line, y, line, height);
    }
  }
}
