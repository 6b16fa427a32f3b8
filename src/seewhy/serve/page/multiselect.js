/** A field that takes one or more of many choices, found by typing: a combobox, and what was chosen above it. */

import { make } from "../viewer/dom.js";

let count = 0;

/**
 * Makes a picker.
 *
 * Args: `label`, `add` (in the empty field) and `hint` are texts; `chosen` are the choices at first, {value, text, detail}; `find(text)` promises
 * the choices that fit what was typed; `onchange` is told when something else is chosen. At least one stays chosen.
 * Returns the element, `values()`, and `set(chosen)`, which tells nobody.
 */
export function makePicker({ label, add, hint, chosen, find, onchange }) {
  const id = `picker-${(count += 1)}`;
  const tags = make("ul", { class: "tags" });
  const list = make("ul", { class: "choices", role: "listbox", id: `${id}-list`, "aria-label": label, hidden: true });
  const note = make("p", { class: "unseen", role: "status" });
  const input = make("input", {
    type: "text",
    id,
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: add,
    "aria-autocomplete": "list",
    "aria-controls": `${id}-list`,
    "aria-expanded": "false",
    "aria-describedby": `${id}-hint`,
    oninput: () => open(),
    onclick: () => open(),
    onkeydown: onkey,
    onblur: () => close(),
  });
  const element = make(
    "div",
    { class: "picker" },
    make("label", { for: id }, label),
    tags,
    make("div", { class: "combo" }, input, list),
    make("p", { class: "hint", id: `${id}-hint` }, hint),
    note,
  );
  let shown = [];
  let active = -1;
  let asked = 0;

  function draw() {
    tags.replaceChildren(
      ...chosen.map((each) => {
        const remove = make("button", { type: "button", onclick: () => drop(each), "aria-label": `Remove ${each.text}` }, "×");
        return make("li", {}, make("span", {}, each.text), chosen.length > 1 ? remove : null);
      }),
    );
  }

  async function open() {
    const number = (asked += 1);
    const found = await find(input.value).catch((error) => error);
    if (number !== asked || document.activeElement !== input) {
      return; // something else was typed in the meantime
    }
    if (found instanceof Error) {
      note.textContent = found.message;
      return;
    }
    shown = found.filter((each) => !chosen.some((other) => other.value === each.value));
    list.replaceChildren(...shown.map(optionOf));
    note.textContent = shown.length === 0 ? "Nothing found." : `${shown.length} found.`;
    if (shown.length === 0) {
      list.replaceChildren(make("li", { class: "nothing", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "Nothing found"));
    }
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    point(shown.length > 0 && input.value !== "" ? 0 : -1);
  }

  function optionOf(each, position) {
    const detail = each.detail ? make("span", { class: "detail" }, each.detail) : null;
    return make(
      "li",
      {
        role: "option",
        id: `${id}-${position}`,
        "aria-selected": "false",
        onmousedown: (event) => event.preventDefault(), // the field keeps the focus
        onclick: () => choose(each),
      },
      make("span", {}, each.text),
      detail,
    );
  }

  function close() {
    asked += 1;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function point(position) {
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

  function onkey(event) {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) {
        open();
      } else if (shown.length > 0) {
        const step = event.key === "ArrowDown" ? 1 : -1;
        point(active < 0 && step < 0 ? shown.length - 1 : (active + step + shown.length) % shown.length);
      }
    } else if (event.key === "Enter" && isOpen && active >= 0) {
      event.preventDefault();
      choose(shown[active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      close();
    } else if (event.key === "Backspace" && input.value === "" && chosen.length > 1) {
      drop(chosen.at(-1));
    }
  }

  function choose(each) {
    chosen = [...chosen, each];
    input.value = "";
    close();
    draw();
    note.textContent = `${each.text} added.`;
    onchange();
  }

  function drop(each) {
    chosen = chosen.filter((other) => other !== each);
    draw();
    note.textContent = `${each.text} removed.`;
    input.focus();
    close();
    onchange();
  }

  function set(others) {
    chosen = others;
    draw();
  }

  draw();
  return { element, set, values: () => chosen.map((each) => each.value) };
}
