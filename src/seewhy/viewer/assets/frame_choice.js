/** The controls of a recording: across which axis its frames are, which of them is shown, and playing them. */

import { createElement, createRadioGroup } from "./dom.js";

/**
 * Creates the controls of a recording (viewer_format.py). `place` is {axis, frame}; `onchange()` is called when the
 * reader has changed it. `onstrongest()` is called for the frame with the peak. `update()` shows the place.
 *
 * Frames are played in a loop, and only when the reader starts it; where motion is to be reduced, they change at most
 * once in a second.
 */
export function createFrameChoice(recording, place, onchange, onstrongest) {
  const noun = recording.kind === "video" ? "Frame" : "Slice";
  const output = createElement("output", { "aria-live": "off" }); // not every frame while they are played
  const oninput = () => goTo(Number(input.value));
  const input = createElement("input", { type: "range", min: 0, step: 1, "aria-label": noun, oninput });
  const names = recording.axes.map(({ name }, axis) => [String(axis), `${name[0].toUpperCase()}${name.slice(1)}`]);
  const axes = createRadioGroup("Slices", names, String(place.axis), (axis) => chooseAxis(Number(axis)));
  const play = createElement("button", { type: "button", onclick: () => setPlaying(timer === 0) });
  const strongest = createElement("button", { type: "button", onclick: onstrongest }, "Go to the peak");
  const element = createElement(
    "div",
    { class: "frame-choice" },
    createElement("label", { class: "field slider" }, createElement("span", {}, noun), input, output),
    createElement("div", { class: "frame-buttons" }, recording.axes.length > 1 ? axes : null, play, strongest),
  );
  let timer = 0;

  const framesOf = () => recording.axes[place.axis].frames;

  function goTo(frame) {
    place.frame = frame;
    onchange();
  }

  function chooseAxis(axis) {
    const share = (place.frame + 0.5) / framesOf().length;
    place.axis = axis;
    goTo(Math.floor(share * framesOf().length));
  }

  function setPlaying(isPlaying) {
    clearInterval(timer);
    timer = 0;
    if (isPlaying) {
      const least = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 0.02;
      timer = setInterval(step, 1000 * Math.max(recording.seconds, least));
    }
    update();
  }

  function step() {
    if (element.isConnected) {
      goTo((place.frame + 1) % framesOf().length);
    } else {
      setPlaying(false);
    }
  }

  function update() {
    const frames = framesOf();
    input.max = String(frames.length - 1);
    input.value = String(place.frame);
    output.textContent = frames[place.frame].label;
    output.style.minWidth = `${Math.max(...frames.map(({ label }) => label.length))}ch`; // the slider keeps its width
    input.setAttribute("aria-valuetext", output.textContent);
    play.textContent = timer === 0 ? "Play" : "Pause";
    element.querySelectorAll(".chips input").forEach((chip) => (chip.checked = chip.value === String(place.axis)));
  }

  return { element, update };
}
