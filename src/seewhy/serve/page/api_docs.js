/** The page that documents the API: the contents of openapi.json as tables. */

import { createElement } from "../viewer/dom.js";
import { fetchFromServer } from "./client.js";

const EXAMPLES = (url) => `curl -F image=@cat.png -F targets=top-3 ${url}api/explain
curl -F image=@cat.png -F format=png -o overlay.png ${url}api/explain
curl -F image=@cat.png -F methods=gradcam,layercam -F format=html -o report.html ${url}api/explain`;

async function start() {
  document.getElementById("examples").textContent = EXAMPLES(new URL("../", location.href).href);
  const response = await fetchFromServer("../openapi.json");
  const { paths } = await response.json();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => createSection(method.toUpperCase(), path, operation)),
  );
  document.getElementById("operations").replaceChildren(...operations);
  document.documentElement.dataset.ready = "true";
}

function createSection(method, path, operation) {
  const form = operation.requestBody?.content["multipart/form-data"].schema;
  const responses = Object.entries(operation.responses).map(([status, { description }]) => [status, description]);
  return createElement(
    "section",
    {},
    createElement(
      "h2",
      {},
      createElement("code", { class: "method" }, method),
      " ",
      createElement("code", {}, path),
    ),
    createElement("p", {}, operation.description),
    form ? createTable("Form fields (multipart/form-data)", Object.entries(form.properties).map(fieldRow)) : null,
    operation.parameters ? createTable("Parameters", operation.parameters.map(parameterRow)) : null,
    createTable("Responses", responses),
  );
}

function fieldRow([name, schema]) {
  const choices = schema.enum ? ` One of: ${schema.enum.join(", ")}.` : "";
  const defaultValue = ["", undefined].includes(schema.default) ? "" : ` Default: ${schema.default}.`;
  return [name, `${schema.description ?? ""}${choices}${defaultValue}`];
}

function parameterRow({ name, schema, description }) {
  return fieldRow([name, { description, ...schema }]);
}

function createTable(caption, rows) {
  const body = rows.map(([name, text]) =>
    createElement("tr", {}, createElement("td", {}, createElement("code", {}, name)), createElement("td", {}, text)),
  );
  return createElement("table", {}, createElement("caption", {}, caption), createElement("tbody", {}, ...body));
}

start().catch((error) => {
  document.getElementById("alert").textContent = error.message;
  document.getElementById("alert").hidden = false;
});
