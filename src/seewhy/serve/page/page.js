/** The page: an image and a question go to the server, and what it answers goes into the viewer. */

import { make } from "../viewer/dom.js";
import { mount } from "../viewer/viewer.js";
import { ask, listOf } from "./client.js";
import { takeImages } from "./upload.js";
import { makeQuestion } from "./settings.js";
import { downloadReport } from "./report.js";

const element = (id) => document.getElementById(id);
const viewer = { shown: null, answer: null, image: null };
let question = null;
let image = null;
let running = null;

/** Asks the server what there is, and makes the page ready. */
async function start() {
  const [{ models, limits }, { methods }] = await Promise.all([listOf("models"), listOf("methods")]);
  question = makeQuestion(element("fields"), models, methods, run);
  takeImages(limits, take, warn);
  element("stop").addEventListener("click", () => running?.abort());
  element("download").addEventListener("click", () => {
    downloadReport(viewer.answer.document).catch((error) => warn(error.message));
  });
  element("question").open = matchMedia("(min-width: 60rem)").matches;
  document.documentElement.dataset.ready = "true";
}

function take(file) {
  image = file;
  run();
}

/** Asks about the image; what was asked before and is not answered yet is dropped. */
async function run() {
  if (image === null) {
    return;
  }
  running?.abort();
  const own = (running = new AbortController());
  begin();
  try {
    const asked = image;
    const answer = await ask(asked, question.fields(), own.signal, (said) => own === running && tell(said));
    if (own === running) {
      show(answer, asked);
    }
  } catch (error) {
    if (own === running) {
      finish();
      warn(own.signal.aborted ? "Stopped. Change the question, or choose an image, to begin again." : error.message);
    }
  }
}

function begin() {
  element("layout").dataset.state = "result";
  element("alarm").hidden = true;
  element("result").setAttribute("aria-busy", "true");
  element("result").toggleAttribute("data-stale", viewer.image !== null && viewer.image !== image);
  element("progress").hidden = false;
  tell({ text: "Sending the image…", share: null, spoken: "Explaining" });
}

/** Shows how far it has come; a bar that says how far only where that is known. Screen readers hear no counting. */
function tell({ text, share, spoken }) {
  element("said").textContent = text;
  if (element("spoken").textContent !== spoken) {
    element("spoken").textContent = spoken;
  }
  if (share === null) {
    element("meter").removeAttribute("value");
  } else {
    element("meter").value = share;
  }
}

function finish() {
  running = null;
  element("result").removeAttribute("aria-busy");
  element("progress").hidden = true;
}

function show(answer, asked) {
  finish();
  element("result").removeAttribute("data-stale");
  [viewer.answer, viewer.image] = [answer, asked];
  if (viewer.shown === null) {
    viewer.shown = mount(element("viewer"), answer.document, { settings: { all: true } });
  } else {
    viewer.shown.update(answer.document);
  }
  const best = answer.document.images[0].predictions[0];
  const said = make("strong", {}, `${best.name}, ${(100 * best.probability).toFixed(1)} %`);
  element("facts").replaceChildren(`${answer.model} says `, said, `. Explained in ${answer.seconds.toFixed(2)} s.`);
  element("bar").hidden = false;
}

function warn(message) {
  element("alarm").textContent = message;
  element("alarm").hidden = false;
}

start().catch((error) => warn(error.message));
