/** The page of the API: what openapi.json says, as tables. */

import { make } from "../viewer/dom.js";

const COMMAND = (address) => `curl -F image=@cat.png -F targets=top-3 ${address}api/explain
curl -F image=@cat.png -F format=png -o overlay.png ${address}api/explain
curl -F image=@cat.png -F methods=gradcam,layercam -F format=html -o report.html ${address}api/explain`;

async function start() {
  document.getElementById("curl").textContent = COMMAND(new URL("../", location.href).href);
  const response = await fetch("../openapi.json");
  if (!response.ok) {
    throw new Error(`The description cannot be had: the server answered ${response.status}.`);
  }
  const { paths } = await response.json();
  const operations = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => sectionOf(verb.toUpperCase(), path, operation)),
  );
  document.getElementById("operations").replaceChildren(...operations);
  document.documentElement.dataset.ready = "true";
}

function sectionOf(verb, path, operation) {
  const form = operation.requestBody?.content["multipart/form-data"].schema;
  return make(
    "section",
    {},
    make("h2", {}, make("code", { class: "verb" }, verb), " ", make("code", {}, path)),
    make("p", {}, operation.description),
    form ? tableOf("Fields of the form, multipart/form-data", Object.entries(form.properties).map(rowOfField)) : null,
    operation.parameters ? tableOf("Parameters", operation.parameters.map(rowOfParameter)) : null,
    tableOf("Answers", Object.entries(operation.responses).map(([status, { description }]) => [status, description])),
  );
}

function rowOfField([name, schema]) {
  const choice = schema.enum ? ` One of: ${schema.enum.join(", ")}.` : "";
  const usual = schema.default === undefined ? "" : ` Default: ${schema.default}.`;
  return [name, `${schema.description ?? ""}${choice}${usual}`];
}

function rowOfParameter({ name, schema, description }) {
  return rowOfField([name, { description, ...schema }]);
}

function tableOf(caption, rows) {
  const lines = rows.map(([name, text]) => make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, text)));
  return make("table", {}, make("caption", {}, caption), make("tbody", {}, ...lines));
}

start().catch((error) => {
  document.getElementById("alarm").textContent = error.message;
  document.getElementById("alarm").hidden = false;
});
