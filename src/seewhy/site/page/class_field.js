/** The settings: which classes are explained. */

import { createMultiselect } from "./multiselect.js";
import { matches, searchItems } from "./text_search.js";
import { className } from "./viewer_entry.js";

const DEFAULT_TARGETS = 5;
const SHOWN_CLASSES = 50;

/**
 * Creates the field for the classes. `element` is null for a model that has heatmaps only of its most probable classes,
 * where there is nothing to choose. `chosen()` returns {top} or {index} for each choice.
 */
export function createClassField(manifest, onchange) {
  const { class_count: count, top, classes } = manifest;
  if (top !== null) {
    return { element: null, chosen: () => [{ top }] };
  }
  const choices = (classes ?? Array.from({ length: count }, (_, index) => index)).map((index) => classChoice(manifest, index));
  const shown = Math.min(DEFAULT_TARGETS, choices.length);
  const topClasses = { value: `top-${shown}`, text: shown === choices.length ? `All ${shown}` : `The ${shown} most probable` };
  const field = createMultiselect({
    label: "Classes",
    placeholder: "Add a class",
    hint: "By name or index. The result lists each class with its evidence.",
    chosen: [topClasses],
    search: async (text) => {
      const found = searchItems(text, choices, ({ text: name, value, detail }) => [name, value, detail]);
      const first = found.slice(0, SHOWN_CLASSES);
      return matches(text, topClasses.text) ? [topClasses, ...first] : first;
    },
    onchange,
  });
  const choiceOf = (value) => (value === topClasses.value ? { top: shown } : { index: Number(value) });
  return { element: field.element, chosen: () => field.values().map(choiceOf) };
}

function classChoice(manifest, index) {
  const id = manifest.class_ids?.[index];
  const detail = id === undefined ? `class ${index}` : `class ${index}, ${id}`;
  return { value: String(index), text: className(manifest, index), detail };
}
