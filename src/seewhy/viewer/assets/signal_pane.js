/** A signal in the colours of one heatmap: the canvas, the values at a point, and saving it. */

import { createElement } from "./dom.js";
import { formatValue } from "./numbers.js";
import { createPaneFrame, saveCanvas } from "./pane_frame.js";
import { valueAt } from "./placement.js";
import { drawSignal } from "./signal_drawing.js";

const LANE_HEIGHT = 150;
const DRAWN_WIDTH = 1600;
const TICKS = 4;

/** Times are so exact that at least so many of them tell the parts of a signal apart. */
const TIME_STEPS = 4000;
const SAMPLE_KEYS = { ArrowLeft: -1, ArrowRight: 1 };

/** Creates a pane of a signal; its result is that of `createPane` (pane.js). `callbacks` are {onscroll}. */
export function createSignalPane(image, { onscroll }) {
  const canvas = createElement("canvas", { tabindex: 0, role: "img", class: "signal" });
  const line = createElement("span", { class: "time-mark", hidden: true });
  const times = createElement("div", { class: "times", "aria-hidden": true });
  const zoomable = createElement("div", { class: "zoomable" }, canvas, line, times);
  const frame = createPaneFrame(zoomable, () => saveCanvas(image, shown.content, canvas));
  const { element, scroller, value } = frame;
  let shown = null; // {content, style}
  let pointer = 0.5;
  let zoom = 1;

  element.classList.add("signal-pane");
  zoomable.addEventListener("pointermove", pointAtEvent);
  zoomable.addEventListener("pointerdown", pointAtEvent);
  zoomable.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && hideValue());
  canvas.addEventListener("blur", hideValue);
  canvas.addEventListener("keydown", (event) => {
    if (event.key in SAMPLE_KEYS) {
      event.preventDefault();
      pointAt(pointer + SAMPLE_KEYS[event.key] / Math.min(shown.content.background.signal.points, 100 * zoom));
      line.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  });
  scroller.addEventListener("scroll", () => onscroll(scroller.scrollLeft, scroller.scrollTop));

  function pointAtEvent(event) {
    const bounds = canvas.getBoundingClientRect();
    pointAt((event.clientX - bounds.left) / bounds.width);
  }

  function pointAt(share) {
    pointer = Math.min(Math.max(share, 0), 0.999999);
    line.hidden = value.hidden = false;
    line.style.left = `${100 * pointer}%`;
    value.textContent = valueText();
  }

  function hideValue() {
    line.hidden = value.hidden = true;
    value.textContent = "";
  }

  function valueText() {
    const { background, heatmap, rawHeatmap, peak } = shown.content;
    const { signal } = background;
    const point = Math.floor(pointer * signal.points);
    const channels = Array.from({ length: signal.channels }, (_, channel) => channel * signal.points);
    const texts = channels.map((first) => rangeText(signal, first + point));
    const position = `At ${timeText(signal, pointer * signal.samples)}: ${texts.join(", ")}; `;
    if (heatmap === null) {
      return `${position}not explained.`;
    }
    const raw = valueAt(rawHeatmap, 0.5, pointer * signal.samples);
    if (raw === null) {
      return `${position}the model did not see this part.`;
    }
    const percent = peak > 0 ? `, ${Math.round((100 * raw) / peak)}% of the peak` : "";
    return `${position}evidence ${formatValue(raw)}${percent}`;
  }

  function show(content, style, ownHeading, ownCaption) {
    shown = { content, style };
    const { signal } = content.background;
    frame.show(content, style, ownHeading, ownCaption);
    times.replaceChildren(
      ...Array.from({ length: TICKS * zoom + 1 }, (_, tick) =>
        createElement("span", {}, timeText(signal, (tick * signal.samples) / (TICKS * zoom))),
      ),
    );
    element.style.setProperty("--lanes", `${LANE_HEIGHT * signal.channels}px`);
    [canvas.width, canvas.height] = [DRAWN_WIDTH * Math.min(zoom, 4), LANE_HEIGHT * 2 * signal.channels];
    drawSignal(canvas, content, style);
    const summary = content.warning ?? `strongest at ${timeText(signal, peakSample(content.heatmap))}`;
    canvas.setAttribute("aria-label", `${image.name}: ${content.title}; ${content.detail}; ${summary}`);
    if (!line.hidden) {
      value.textContent = valueText();
    }
  }

  function setZoom(newZoom) {
    const centre = zoom === 1 && shown.content.heatmap !== null ? peakShare() : visibleCentre();
    zoom = newZoom;
    element.style.setProperty("--zoom", String(zoom));
    element.classList.toggle("zoomed", zoom > 1);
    show(shown.content, shown.style, frame.heading(), frame.caption());
    scrollTo(centre * scroller.scrollWidth - scroller.clientWidth / 2, 0);
  }

  const peakShare = () => peakSample(shown.content.heatmap) / shown.content.background.signal.samples;
  const visibleCentre = () => (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth;

  function scrollTo(left, top) {
    scroller.scrollTo({ left, top, behavior: "instant" });
  }

  return { element, show, setZoom, scrollTo, point: () => {} };
}

/** Returns the values of a part of a signal: one, or from the lowest to the highest. */
function rangeText({ lows, highs }, point) {
  const [low, high] = [lows[point], highs[point]].map(formatValue);
  return low === high ? low : `${low} to ${high}`;
}

function timeText({ rate, samples }, sample) {
  if (rate === null) {
    return `sample ${Math.floor(sample)}`;
  }
  const decimals = Math.min(Math.max(Math.ceil(-Math.log10(samples / rate / TIME_STEPS)), 0), 12);
  return `${Number((sample / rate).toFixed(decimals))}\u00a0s`;
}

/** Returns the sample at the centre of the cell with the peak. */
function peakSample({ columns, cells, box: [, start, , stop] }) {
  const peak = cells.reduce((best, value, cell) => (Math.abs(value) > Math.abs(cells[best]) ? cell : best), 0);
  return start + ((peak + 0.5) / columns) * (stop - start);
}
