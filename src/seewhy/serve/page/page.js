/** The page: sends an image and the settings to the server, and shows the result in the viewer. */

import { createElement } from "../viewer/dom.js";
import { formatPercent } from "../viewer/numbers.js";
import { mount } from "../viewer/viewer.js";
import { fetchList, requestExplanation } from "./client.js";
import { connectImageInputs } from "./image_inputs.js";
import { createSettingsForm } from "./settings_form.js";
import { downloadReport } from "./report_download.js";

const element = (id) => document.getElementById(id);
const result = { viewer: null, response: null, image: null };
let settingsForm = null;
let image = null;
let request = null; // the AbortController of the running request

/** Loads the catalog, and makes the page ready. */
async function start() {
  const [{ models, limits }, { methods }] = await Promise.all([fetchList("models"), fetchList("methods")]);
  settingsForm = createSettingsForm(element("fields"), models, methods, explain);
  connectImageInputs(limits, selectImage, showAlert);
  element("stop").addEventListener("click", () => request?.abort());
  element("download").addEventListener("click", () => {
    downloadReport(result.response.viewer_data).catch((error) => showAlert(error.message));
  });
  element("settings").open = matchMedia("(min-width: 60rem)").matches;
  document.documentElement.dataset.ready = "true";
}

function selectImage(file) {
  image = file;
  explain();
}

/** Requests explanations of the image with the current settings, and aborts the request that is still running. */
async function explain() {
  if (image === null) {
    return;
  }
  request?.abort();
  const controller = (request = new AbortController());
  const isCurrent = () => controller === request;
  const requestedImage = image;
  showRequestStarted();
  try {
    const onprogress = (progress) => isCurrent() && showProgress(progress);
    const response = await requestExplanation(image, settingsForm.fields(), controller.signal, onprogress);
    if (isCurrent()) {
      showResult(response, requestedImage);
    }
  } catch (error) {
    if (isCurrent()) {
      showRequestFinished();
      const { aborted } = controller.signal;
      showAlert(aborted ? "Stopped. Change the settings or choose an image to start again." : error.message);
    }
  }
}

function showRequestStarted() {
  element("layout").dataset.state = "result";
  element("alert").hidden = true;
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

function showResult(response, requestedImage) {
  showRequestFinished();
  element("result").removeAttribute("data-stale");
  [result.response, result.image] = [response, requestedImage];
  if (result.viewer === null) {
    result.viewer = mount(element("viewer"), response.viewer_data, { display: { sideBySide: true } });
  } else {
    result.viewer.update(response.viewer_data);
  }
  const [best] = response.viewer_data.images[0].predictions;
  const prediction = createElement("strong", {}, `${best.name}, ${formatPercent(best.probability)}`);
  const seconds = response.seconds.toFixed(2);
  element("summary").replaceChildren(`${response.model} predicts `, prediction, `. Explained in ${seconds} s.`);
  element("result-bar").hidden = false;
  if (response.errors.length > 0) {
    showAlert(response.errors.map(({ title, layer, error }) => `${title} at ${layer}: ${error.message}`).join(" "));
  }
}

function showAlert(message) {
  element("alert").textContent = message;
  element("alert").hidden = false;
}

start().catch((error) => showAlert(error.message));
