/** A field for one or more of many choices: a combobox that searches as the user types, and tags of the chosen ones. */

import { createElement } from "../viewer/dom.js";

let count = 0;

/**
 * Creates a multi-select field.
 *
 * Args: `label`, `placeholder` and `hint` are texts; `chosen` are the initial choices, {value, text, detail};
 * `search(text)` promises the choices that match; `onchange` is called when the user changes the selection. At least
 * one choice stays selected. Returns the element, `values()`, and `set(choices)`, which does not call `onchange`.
 */
export function createMultiselect({ label, placeholder, hint, chosen, search, onchange }) {
  const id = `multiselect-${(count += 1)}`;
  const tags = createElement("ul", { class: "tags" });
  const listAttributes = { class: "choices", role: "listbox", id: `${id}-list`, "aria-label": label, hidden: true };
  const list = createElement("ul", listAttributes);
  const status = createElement("p", { class: "visually-hidden", role: "status" });
  const input = createElement("input", {
    type: "text",
    id,
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    placeholder,
    "aria-autocomplete": "list",
    "aria-controls": `${id}-list`,
    "aria-expanded": "false",
    "aria-describedby": `${id}-hint`,
    oninput: () => open(),
    onclick: () => open(),
    onkeydown: handleKey,
    onblur: () => close(),
  });
  const element = createElement(
    "div",
    { class: "multiselect" },
    createElement("label", { for: id }, label),
    tags,
    createElement("div", { class: "combobox" }, input, list),
    createElement("p", { class: "hint", id: `${id}-hint` }, hint),
    status,
  );
  let options = [];
  let active = -1;
  let searchNumber = 0;

  function drawTags() {
    tags.replaceChildren(
      ...chosen.map((choice) => {
        const attributes = { type: "button", onclick: () => remove(choice), "aria-label": `Remove ${choice.text}` };
        const button = chosen.length > 1 ? createElement("button", attributes, "×") : null;
        return createElement("li", {}, createElement("span", {}, choice.text), button);
      }),
    );
  }

  async function open() {
    const number = (searchNumber += 1);
    let matches;
    try {
      matches = await search(input.value);
    } catch (error) {
      matches = error;
    }
    if (number !== searchNumber || document.activeElement !== input) {
      return; // the user has typed something else in the meantime, or has left the field
    }
    const failed = matches instanceof Error;
    options = failed ? [] : matches.filter((choice) => !chosen.some(({ value }) => value === choice.value));
    const emptyText = failed ? matches.message : "No matches";
    list.replaceChildren(...(options.length > 0 ? options.map(createOption) : [createEmptyOption(emptyText)]));
    status.textContent = options.length === 0 ? emptyText : `${options.length} matches.`;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(options.length > 0 && input.value !== "" ? 0 : -1);
  }

  function createOption(choice, position) {
    const detail = choice.detail ? createElement("span", { class: "detail" }, choice.detail) : null;
    return createElement(
      "li",
      {
        role: "option",
        id: `${id}-${position}`,
        "aria-selected": "false",
        onmousedown: (event) => event.preventDefault(), // so that the field keeps the focus
        onclick: () => add(choice),
      },
      createElement("span", {}, choice.text),
      detail,
    );
  }

  function createEmptyOption(text) {
    const attributes = { class: "empty", role: "option", "aria-disabled": "true", "aria-selected": "false" };
    return createElement("li", attributes, text);
  }

  function close() {
    searchNumber += 1;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function activate(position) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = position;
    if (active < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    const option = list.children[active];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  }

  function handleKey(event) {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) {
        open();
      } else if (options.length > 0) {
        const step = event.key === "ArrowDown" ? 1 : -1;
        activate(active < 0 && step < 0 ? options.length - 1 : (active + step + options.length) % options.length);
      }
    } else if (event.key === "Enter" && isOpen && active >= 0) {
      event.preventDefault();
      add(options[active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      close();
    } else if (event.key === "Backspace" && input.value === "" && chosen.length > 1) {
      remove(chosen.at(-1));
    }
  }

  function add(choice) {
    chosen = [...chosen, choice];
    input.value = "";
    close();
    drawTags();
    status.textContent = `${choice.text} added.`;
    onchange();
  }

  function remove(choice) {
    chosen = chosen.filter((other) => other !== choice);
    drawTags();
    status.textContent = `${choice.text} removed.`;
    input.focus();
    close();
    onchange();
  }

  function set(choices) {
    chosen = choices;
    drawTags();
  }

  drawTags();
  return { element, set, values: () => chosen.map((choice) => choice.value) };
}
