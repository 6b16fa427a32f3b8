/** The question: which model, by which methods, at which layers, about which classes. */

import { makeSelect } from "../viewer/dom.js";
import { listOf } from "./client.js";
import { makePicker } from "./picker.js";

const FIRST = 5;
const DEFAULT_LAYER = { value: "auto", text: "The model’s default" };

/**
 * Makes the fields of the question, and tells `onchange` when it is another.
 *
 * `fields()` returns it as the API's fields.
 */
export function makeQuestion(element, models, methods, onchange) {
  let model = models[0];
  let best = bestOf(model);
  const method = makePicker({
    label: "Methods",
    add: "Add a method",
    hint: "Several are shown side by side.",
    chosen: [optionOf(methods.find((each) => each.name === "gradcam"))],
    find: async (text) => found(text, methods, (each) => [each.name, each.title, each.summary]).map(optionOf),
    onchange,
  });
  const layer = makePicker({
    label: "Layers",
    add: "Add a layer",
    hint: "Late layers know what, early ones know where.",
    chosen: [DEFAULT_LAYER],
    find: findLayers,
    onchange,
  });
  const classes = makePicker({
    label: "Classes",
    add: "Add a class",
    hint: "By name, by index, or by id. What speaks for each is in the list of the result.",
    chosen: [best],
    find: findClasses,
    onchange,
  });
  const choices = models.map((each) => [each.name, each.name]);
  const select = makeSelect("Model", choices, model.name, (name) => {
    model = models.find((each) => each.name === name);
    best = bestOf(model);
    layer.set([DEFAULT_LAYER]);
    classes.set([best]);
    onchange();
  });
  element.replaceChildren(select, method.element, layer.element, classes.element);

  async function findLayers(text) {
    const { layers } = await listOf(`models/${encodeURIComponent(model.name)}/layers`);
    const known = found(text, layers.reverse(), (each) => [each.path, each.kind]).map((each) => ({
      value: each.path,
      text: each.path,
      detail: `${each.kind}, ${each.shape.map((size) => size ?? "any").join(" × ")}`,
    }));
    return fits(text, DEFAULT_LAYER.text) ? [DEFAULT_LAYER, ...known] : known;
  }

  async function findClasses(text) {
    const query = new URLSearchParams({ search: text, limit: 50 });
    const { classes: fitting } = await listOf(`models/${encodeURIComponent(model.name)}/classes?${query}`);
    const known = fitting.map((each) => ({
      value: String(each.index),
      text: each.name,
      detail: each.id === null ? `class ${each.index}` : `class ${each.index}, ${each.id}`,
    }));
    return fits(text, best.text) ? [best, ...known] : known;
  }

  const fields = () => ({
    model: model.name,
    methods: method.values().join(","),
    layers: layer.values().join(","),
    targets: classes.values().join(","),
  });
  return { fields };
}

/** Returns the choice of a model's most probable classes; of few classes, all. */
function bestOf(model) {
  const count = Math.min(FIRST, model.classes);
  return { value: `top-${count}`, text: count === model.classes ? `All ${count}` : `The ${count} most probable` };
}

function optionOf(method) {
  const detail = method.reruns ? `${method.summary} · takes longer` : method.summary;
  return { value: method.name, text: method.title, detail };
}

/** Whether one of the texts holds what was typed. */
function fits(typed, ...texts) {
  const wanted = typed.trim().toLowerCase();
  return texts.some((each) => each.toLowerCase().includes(wanted));
}

/** Returns the items of which one of the texts holds what was typed; those first of which an earlier text does. */
function found(typed, items, textsOf) {
  const rank = (item) => textsOf(item).findIndex((text) => fits(typed, text));
  return items.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
}
