/**
 * Draws a signal as a line in the colours of its heatmap, each channel below the other, with a strip of these colours, as
 * `seewhy.images.line_figure.draw_lines` does.
 */

import { pixelCentres, placeHeatmap } from "./placement.js";

const MARGIN = 8;
const STRIP = 10;
const GREY = "#8a939c";
const EDGE = "#24292f";
const BACKGROUND = "#ffffff";

/**
 * Draws the content of a pane (pane_contents.js) whose background is a signal, on all of a canvas. Where the heatmap is
 * below the threshold of the style (renderer.js), and where the model saw nothing, the line is grey.
 */
export function drawSignal(canvas, content, style) {
  const { signal } = content.background;
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.fillStyle = BACKGROUND;
  context.fillRect(0, 0, width, height);
  const colours = content.heatmap === null ? null : lineColours(content.heatmap, signal, style);
  const lane = (height - STRIP) / signal.channels;
  for (let channel = 0; channel < signal.channels; channel += 1) {
    drawChannel(context, signal, channel, { top: channel * lane + MARGIN, height: lane - 2 * MARGIN, width }, colours);
  }
  colours?.forEach((colour, point) => {
    context.fillStyle = colour ?? BACKGROUND;
    context.fillRect((point * width) / colours.length, height - STRIP, width / colours.length + 1, STRIP);
  });
}

/** Returns the colour of each point of a signal, or null where the line is grey. */
function lineColours(heatmap, signal, { threshold, colors }) {
  const centres = pixelCentres(signal.points, signal.samples);
  const { values, left, right } = placeHeatmap(heatmap, [0.5], centres);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(values, (value, point) => {
    if (point < left || point >= right || (threshold > 0 && Math.abs(value) < threshold * largest)) {
      return null;
    }
    const index = Math.round(heatmap.signed ? 127.5 * (value + 1) : 255 * value);
    const [red, green, blue] = colors.subarray(3 * index, 3 * index + 3);
    return `rgb(${red} ${green} ${blue})`;
  });
}

function drawChannel(context, { points, lows, highs }, channel, { top, height, width }, colours) {
  const from = channel * points;
  let [lowest, highest] = [Infinity, -Infinity];
  for (let i = from; i < from + points; i += 1) {
    lowest = Math.min(lowest, lows[i]);
    highest = Math.max(highest, highs[i]);
  }
  const span = highest > lowest ? highest - lowest : 1;
  const y = (value) => top + height * (1 - (value - lowest) / span);
  const x = (point) => ((point + 0.5) * width) / points;
  const stroke = (point, colour, lineWidth) => {
    const next = Math.min(point + 1, points - 1);
    context.strokeStyle = colour;
    context.lineWidth = lineWidth;
    context.beginPath();
    context.moveTo(x(point), y(lows[from + point]));
    context.lineTo(x(point), y(highs[from + point]));
    context.lineTo(x(next), y(lows[from + next]));
    context.stroke();
  };
  const line = Math.max(2, Math.min(height, width) / 60);
  context.lineJoin = context.lineCap = "round";
  for (let point = 0; point < points; point += 1) {
    stroke(point, EDGE, line + 2); // on a dark line, so that bright colours stand out
  }
  for (let point = 0; point < points; point += 1) {
    stroke(point, colours?.[point] ?? GREY, line);
  }
}
