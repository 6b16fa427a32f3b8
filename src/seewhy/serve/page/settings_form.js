/** The settings: the model, the methods, the layers and the classes. */

import { createCheckbox, createSelect } from "../viewer/dom.js";
import { fetchList } from "./client.js";
import { createMultiselect } from "./multiselect.js";
import { matches, searchItems } from "./text_search.js";

const DEFAULT_METHOD = "auto";
const DEFAULT_TARGETS = 5;
const TOP_TARGETS = {
  detector: { value: `top-${DEFAULT_TARGETS}`, text: `The ${DEFAULT_TARGETS} surest detections` },
  segmenter: { value: `top-${DEFAULT_TARGETS}`, text: `The ${DEFAULT_TARGETS} largest classes` },
  value: { value: "top-1", text: "The value" },
};
const DEFAULT_LAYER = { value: "auto", text: "The model’s default" };

/** Creates the fields of the settings, and calls `onchange` when they change.
 *
 * `fields()` returns the API's fields, and `kindOf(name)` the kind of a model.
 */
export function createSettingsForm(element, models, methods, onchange) {
  let model = models[0];
  let topClasses = topClassesOf(model);
  const methodField = createMultiselect({
    label: "Methods",
    placeholder: "Add a method",
    hint: "Several methods are shown side by side.",
    chosen: [methodChoice(methods.find(({ name }) => name === DEFAULT_METHOD))],
    search: async (text) => searchItems(text, methods, methodTexts).map(methodChoice),
    onchange,
  });
  const layerField = createMultiselect({
    label: "Layers",
    placeholder: "Add a layer",
    hint: "Late layers are more specific to a class, early layers more precise in position.",
    chosen: [DEFAULT_LAYER],
    search: searchLayers,
    onchange,
  });
  const classField = createMultiselect({
    label: "Classes",
    placeholder: "Add a class",
    hint: "By name, index or id. The result lists each class with its evidence.",
    chosen: [topClasses],
    search: searchClasses,
    onchange,
  });
  const modelChoices = models.map(({ name }) => [name, name]);
  const modelField = createSelect("Model", modelChoices, model.name, (chosenName) => {
    model = models.find(({ name }) => name === chosenName);
    topClasses = topClassesOf(model);
    layerField.set([DEFAULT_LAYER]);
    classField.set([topClasses]);
    onchange();
  });
  let isChecked = false;
  const checkField = createCheckbox("Check the heatmaps: about ten more runs of the model for each", isChecked, (value) => {
    isChecked = value;
    onchange();
  });
  element.replaceChildren(modelField, methodField.element, layerField.element, classField.element, checkField);

  async function searchLayers(text) {
    const { layers } = await fetchList(`models/${encodeURIComponent(model.name)}/layers`);
    const choices = searchItems(text, layers.reverse(), ({ path, kind }) => [path, kind]).map(layerChoice);
    return matches(text, DEFAULT_LAYER.text) ? [DEFAULT_LAYER, ...choices] : choices;
  }

  async function searchClasses(text) {
    const query = new URLSearchParams({ search: text, limit: 50 });
    const { classes } = await fetchList(`models/${encodeURIComponent(model.name)}/classes?${query}`);
    const choices = classes.map(classChoice);
    return matches(text, topClasses.text) ? [topClasses, ...choices] : choices;
  }

  const fields = () => ({
    model: model.name,
    methods: methodField.values().join(","),
    layers: layerField.values().join(","),
    targets: classField.values().join(","),
    ...(isChecked ? { check: "true" } : {}),
  });
  const kindOf = (name) => models.find((each) => each.name === name).kind;
  return { fields, kindOf };
}

/** Returns the choice of a model's most probable classes, surest detections or largest regions; of all if there are few. */
function topClassesOf(model) {
  if (model.kind in TOP_TARGETS) {
    return TOP_TARGETS[model.kind];
  }
  const count = Math.min(DEFAULT_TARGETS, model.class_count);
  return { value: `top-${count}`, text: count === model.class_count ? `All ${count}` : `The ${count} most probable` };
}

const methodTexts = ({ name, title, summary }) => [name, title, summary];

function methodChoice({ name, title, summary, reports_progress: isSlow }) {
  return { value: name, text: title, detail: isSlow ? `${summary} · slow` : summary };
}

function layerChoice({ path, kind, shape }) {
  return { value: path, text: path, detail: `${kind}, ${shape.map((size) => size ?? "any").join(" × ")}` };
}

function classChoice({ index, name, id }) {
  return { value: String(index), text: name, detail: id === null ? `class ${index}` : `class ${index}, ${id}` };
}
