/** The page: sends an image and the settings to the server, and shows the result in the viewer. */

import { createElement } from "../viewer/dom.js";
import { formatPercent, formatValue } from "../viewer/numbers.js";
import { mount } from "../viewer/viewer.js";
import { RefusedError, fetchFromServer, fetchList, requestExplanation } from "./client.js";
import { connectImageInputs, showPreview } from "./image_inputs.js";
import { hideMessages, showAlert, showNote } from "./messages.js";
import { createSettingsForm } from "./settings_form.js";
import { downloadReport } from "./report_download.js";

const element = (id) => document.getElementById(id);
const oneColumn = matchMedia("(max-width: 60rem)");
const result = { viewer: null, response: null, image: null };
let settingsForm = null; // until the catalog is there
let limits = null;
let image = null;
let request = null; // the AbortController of the running request

/** Connects the page's elements, and makes the page ready. An image that is chosen before is explained then. */
function start() {
  connectImageInputs(selectImage, showAlert, (sample) => fetchFromServer(`page/samples/${sample}`));
  element("stop").addEventListener("click", () => request?.abort());
  element("download").addEventListener("click", () => saveReport(result.response.viewer_data));
  element("settings").open = !oneColumn.matches;
  loadCatalog();
}

async function loadCatalog() {
  hideMessages();
  try {
    const [{ models, limits: newLimits }, { methods }] = await Promise.all([fetchList("models"), fetchList("methods")]);
    settingsForm = createSettingsForm(element("fields"), models, methods, explain);
    limits = newLimits;
  } catch (error) {
    showAlert(`The models of the server could not be listed. ${error.message}`, loadCatalog);
    return;
  }
  document.documentElement.dataset.ready = "true";
  if (image !== null) {
    selectImage(image);
  }
}

function selectImage(file) {
  if (limits !== null && file.size > limits.max_bytes) {
    showAlert(`${file.name} has more than ${limits.max_bytes.toLocaleString("en")} bytes. Choose a smaller image.`);
    return;
  }
  image = file;
  showPreview(file);
  explain();
}

/** Requests explanations of the image with the current settings, and aborts the request that is still running. */
async function explain() {
  if (image === null || settingsForm === null) {
    return;
  }
  request?.abort();
  const controller = (request = new AbortController());
  const isCurrent = () => controller === request;
  const requestedImage = image;
  let partial = null;
  let count = null;

  function onprogress(progress) {
    if (isCurrent()) {
      count = progress.count ?? count;
      showProgress(progress);
    }
  }

  function onpartial(response) {
    if (isCurrent()) {
      partial = response;
      if (result.image !== requestedImage || heatmapCount(response) > heatmapCount(result.response)) {
        showResponse(response, requestedImage);
      }
    }
  }

  showRequestStarted();
  try {
    const { signal } = controller;
    const response = await requestExplanation(image, settingsForm.fields(), signal, onprogress, onpartial);
    if (isCurrent()) {
      showRequestFinished();
      showResponse(response, requestedImage);
      showFailures(response.errors);
    }
  } catch (error) {
    if (isCurrent()) {
      showRequestFinished();
      if (partial !== null) {
        showResponse(partial, requestedImage); // what is finished is kept
      } else if (result.image !== requestedImage) {
        hideResult(); // it is that of another image
      }
      if (controller.signal.aborted) {
        showNote(stoppedText(partial, count));
      } else {
        showAlert(error.message, error instanceof RefusedError ? null : explain);
      }
    }
  }
}

const heatmapCount = (response) => response.viewer_data.images[0].explanations.length;

function stoppedText(partial, count) {
  const finished = partial === null ? 0 : heatmapCount(partial);
  return finished === 0
    ? "Stopped before a heatmap was finished. Change the settings or choose an image to start again."
    : `Stopped: ${finished} of ${count} heatmaps ${finished === 1 ? "is" : "are"} finished, and shown here.`;
}

function showRequestStarted() {
  element("layout").dataset.state = "result";
  hideMessages();
  element("result").setAttribute("aria-busy", "true");
  element("result").toggleAttribute("data-stale", result.image !== null && result.image !== image);
  element("progress").hidden = false;
  showProgress({ text: "Uploading the image…", fraction: null, announcement: "Explaining" });
}

/** Shows the progress; the bar is indeterminate if the fraction is unknown. Screen readers do not announce counts. */
function showProgress({ text, fraction, announcement }) {
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

function showRequestFinished() {
  request = null;
  element("result").removeAttribute("aria-busy");
  element("progress").hidden = true;
}

function hideResult() {
  element("result").removeAttribute("data-stale");
  element("result-bar").hidden = true;
  element("viewer").hidden = true;
  result.image = null;
}

function showResponse(response, requestedImage) {
  if (result.image !== requestedImage && oneColumn.matches) {
    const scroll = () => element("result").scrollIntoView(); // it is below the inputs
    element("viewer").addEventListener("seewhy-ready", scroll, { once: true });
  }
  element("result").removeAttribute("data-stale");
  element("viewer").hidden = false;
  [result.response, result.image] = [response, requestedImage];
  if (result.viewer === null) {
    const options = { display: { sideBySide: true }, heading: false };
    result.viewer = mount(element("viewer"), response.viewer_data, options);
  } else {
    result.viewer.update(response.viewer_data);
  }
  const [shown] = response.viewer_data.images;
  const [verb, found] = resultOf(shown, settingsForm.kindOf(response.model));
  element("summary").replaceChildren(`${response.model} ${verb} `, createElement("strong", {}, found));
  element("facts").textContent = `${shown.name} · explained in ${response.seconds.toFixed(2)}\u00a0s`;
  element("result-bar").hidden = false;
}

/** Returns what a model of this kind does with the image, and what it found there. */
function resultOf({ predictions, detections, explanations }, kind) {
  const [{ targets }] = explanations;
  switch (kind) {
    case "detector":
      return ["detects", detections.map(({ name, probability }) => `${name} ${formatPercent(probability)}`).join(", ")];
    case "segmenter":
      return ["finds", targets.map(({ name }) => name).join(", ")];
    case "value":
      return ["predicts", `${targets[0].name}: ${formatValue(targets[0].score)}`];
    default:
      return ["predicts", `${predictions[0].name}, ${formatPercent(predictions[0].probability)}`];
  }
}

async function saveReport(data) {
  try {
    const template = await fetchFromServer("report.html");
    downloadReport(data, await template.text());
  } catch (error) {
    showAlert(`The report could not be created. ${error.message}`);
  }
}

function showFailures(errors) {
  if (errors.length > 0) {
    showAlert(errors.map(({ title, layer, error }) => `${title} at ${layer}: ${error.message}`).join(" "));
  }
}

start();
