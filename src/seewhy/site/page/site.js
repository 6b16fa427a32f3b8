/** The page of a static site: runs the model on a photo in this browser, and shows the result in the viewer. */

import { createElement } from "../viewer/dom.js";
import { formatPercent } from "../viewer/numbers.js";
import { SHOWN_PIXELS } from "../viewer/photos.js";
import { mount } from "../viewer/viewer.js";
import { createClassField } from "./class_field.js";
import { readJson } from "./downloads.js";
import { connectImageInputs, showPreview } from "./image_inputs.js";
import { hideMessages, showAlert, showNote } from "./messages.js";
import { UnsupportedError, checkBrowser, loadModel } from "./model.js";
import { PhotoError, canReadPixels, drawnPhotoUrl, openPhoto, photoDataUrl, readInput } from "./photo.js";
import { downloadReport } from "./report_download.js";
import { viewerData } from "./viewer_entry.js";

const element = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
const oneColumn = matchMedia("(max-width: 60rem)");
const NOISE =
  "This browser changes the pixels that pages read, as a protection against fingerprinting, so that the model would see " +
  "noise. Allow this page to read them (in Firefox, with the symbol beside the address), then choose the photo again.";

let manifest = null;
let model = null; // until it is loaded
let classField = null;
let file = null; // the chosen photo
let explained = null; // the last photo that was run: {file, photo, input, outputs, url, seconds}
let viewer = null;
let runNumber = 0;

/** Connects the page's elements, and loads the model. A photo that is chosen before is explained then. */
function start() {
  element("starting").hidden = true;
  connectImageInputs(selectPhoto, showAlert, (sample) => fetch(`samples/${sample}`));
  element("download").addEventListener("click", saveReport);
  element("settings").open = !oneColumn.matches;
  load();
}

async function load() {
  hideMessages();
  try {
    checkBrowser();
    manifest ??= await readJson("site.json");
    showSettings();
    showProgress("Loading the model…", null, "Loading the model");
    model = await loadModel(manifest, showLoading);
  } catch (error) {
    hideProgress();
    showAlert(error.message, error instanceof UnsupportedError ? null : load);
    return;
  }
  hideProgress();
  document.documentElement.dataset.ready = "true";
  if (file !== null) {
    explain();
  } else {
    showNote("The model is ready. Choose a photo.");
  }
}

function showSettings() {
  classField ??= createClassField(manifest, explain);
  element("settings").hidden = classField.element === null;
  element("fields").replaceChildren(...[classField.element].filter(Boolean));
  const [height, width] = manifest.preprocessing.size;
  const bytes = manifest.model.file.bytes + manifest.runtime.wasm.bytes;
  element("about").textContent =
    `${manifest.model.name} sees ${height} × ${width} pixels and is explained by ${manifest.method.title} at the layer ` +
    `${manifest.layer}. The model and its runtime have ${megabytes(bytes)}\u00a0MB.`;
}

function showLoading(done, total) {
  const isComplete = done === total;
  const count = `Loading the model: ${megabytes(done)} of ${megabytes(total)} MB`;
  showProgress(isComplete ? "Preparing the model…" : count, isComplete ? null : done / total, "Loading the model");
}

function selectPhoto(chosen) {
  file = chosen;
  showPreview(file);
  if (model !== null) {
    explain();
  }
}

/** Runs the model on the photo, unless that was its last, and shows the evidence for the chosen classes. */
async function explain() {
  if (file === null || model === null) {
    return;
  }
  const number = (runNumber += 1);
  const photoFile = file;
  const begin = performance.now();
  showStarted(photoFile);
  try {
    const run = explained?.file === photoFile ? explained : await runModel(photoFile);
    if (number !== runNumber) {
      forget(run === explained ? null : run); // another photo was chosen in the meantime
      return;
    }
    if (run !== explained) {
      run.seconds = (performance.now() - begin) / 1000;
      forget(explained);
      explained = run;
    }
    showFinished();
    showResult();
  } catch (error) {
    if (number === runNumber) {
      showFinished();
      hideResult(photoFile);
      showAlert(error.message);
      reportUnexpected(error);
    }
  }
}

async function runModel(photoFile) {
  const photo = await openPhoto(photoFile);
  await nextFrame(); // so that the progress is seen before the browser is busy
  if (!canReadPixels()) {
    throw new PhotoError(NOISE);
  }
  const input = readInput(photo, manifest.preprocessing);
  const outputs = await model.run(input.pixels);
  const url = input.isOpaque ? URL.createObjectURL(photoFile) : await drawnPhotoUrl(photo);
  return { file: photoFile, photo, input, outputs, url, seconds: 0 };
}

function nextFrame() {
  return new Promise((resolve) => setTimeout(resolve)); // a hidden page has no frames
}

function forget(run) {
  if (run !== null) {
    run.photo.bitmap.close();
    URL.revokeObjectURL(run.url);
  }
}

/** Throws an error that is a mistake of this page again, where the browser's console shows it. */
function reportUnexpected(error) {
  if (!(error instanceof PhotoError)) {
    setTimeout(() => {
      throw error;
    });
  }
}

function dataOf({ photo, input, outputs }, url) {
  const { name, width, height } = photo;
  return viewerData(manifest, outputs, classField.chosen(), { name, width, height, url, box: input.box });
}

function showStarted(photoFile) {
  element("layout").dataset.state = "result";
  hideMessages();
  element("result").setAttribute("aria-busy", "true");
  element("result").toggleAttribute("data-stale", explained !== null && explained.file !== photoFile);
  showProgress("Running the model…", null, "Running the model");
}

function showFinished() {
  element("result").removeAttribute("aria-busy");
  hideProgress();
}

/** Shows the progress; the bar is indeterminate if the fraction is unknown. Screen readers do not announce counts. */
function showProgress(text, fraction, announcement) {
  hideMessages();
  element("progress").hidden = false;
  element("progress-text").textContent = text;
  if (element("progress-announcement").textContent !== announcement) {
    element("progress-announcement").textContent = announcement;
  }
  if (fraction === null) {
    element("progress-bar").removeAttribute("value");
  } else {
    element("progress-bar").value = fraction;
  }
}

function hideProgress() {
  element("progress").hidden = true;
}

/** Hides the result of another photo than the one that failed. */
function hideResult(photoFile) {
  element("result").removeAttribute("data-stale");
  if (explained?.file !== photoFile) {
    element("result-bar").hidden = true;
    element("viewer").hidden = true;
  }
}

function showResult() {
  const data = dataOf(explained, explained.url);
  element("result").removeAttribute("data-stale");
  element("viewer").hidden = false;
  if (oneColumn.matches) {
    const scroll = () => element("result").scrollIntoView(); // it is below the inputs
    element("viewer").addEventListener("seewhy-ready", scroll, { once: true });
  }
  if (viewer === null) {
    viewer = mount(element("viewer"), data, { heading: false });
  } else {
    viewer.update(data);
  }
  const [image] = data.images;
  const [best] = image.predictions;
  const prediction = createElement("strong", {}, `${best.name}, ${formatPercent(best.probability)}`);
  element("summary").replaceChildren(`${manifest.model.name} predicts `, prediction);
  element("facts").textContent = `${image.name} · explained in ${explained.seconds.toFixed(2)}\u00a0s in this browser`;
  element("result-bar").hidden = false;
}

async function saveReport() {
  try {
    const response = await fetch("report.html");
    if (!response.ok) {
      throw new Error(`The file report.html is missing on this host (status ${response.status}).`);
    }
    const photoUrl = photoDataUrl(explained.photo, SHOWN_PIXELS);
    downloadReport(dataOf(explained, photoUrl), await response.text());
  } catch (error) {
    showAlert(`The report could not be created. ${error.message}`);
  }
}

start();
