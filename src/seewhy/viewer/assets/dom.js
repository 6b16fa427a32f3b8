/** Elements of the page. Text is only ever set as text, so no name of a file or a class can become markup. */

/** Makes an element. An attribute `onclick` is a listener; `true` sets an attribute, `false` and `null` do not. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Makes a choice among a few, as radio buttons: `choices` are [value, text], `onchoose` is told the value. */
export function makeChoice(legend, choices, chosen, onchoose) {
  const name = `seewhy-${Math.random().toString(36).slice(2)}`;
  const labels = choices.map(([value, text]) => {
    const input = make("input", { type: "radio", name, value, onchange: () => onchoose(value) });
    input.checked = value === chosen;
    return make("label", { class: "chip" }, input, make("span", {}, text));
  });
  return make("fieldset", { class: "choice" }, make("legend", {}, legend), make("div", { class: "chips" }, ...labels));
}

/** Makes a drop-down list of [value, text]. */
export function makeSelect(text, choices, chosen, onchoose) {
  const options = choices.map(([value, shown]) => make("option", { value }, shown));
  const select = make("select", { onchange: (event) => onchoose(event.target.value) }, ...options);
  select.value = chosen;
  return make("label", { class: "field" }, make("span", {}, text), select);
}

/** Makes a box to tick. */
export function makeCheck(text, checked, onchoose) {
  const input = make("input", { type: "checkbox", onchange: (event) => onchoose(event.target.checked) });
  input.checked = checked;
  return make("label", { class: "check" }, input, make("span", {}, text));
}

/** Makes a slider in percent; `set` moves it and says whether it can be used. */
export function makeSlider(text, onslide) {
  const shown = make("output", {});
  const input = make("input", { type: "range", min: 0, max: 100, step: 1, oninput: (event) => slide(event.target) });
  const element = make("label", { class: "field slider" }, make("span", {}, text), input, shown);

  function slide(target) {
    shown.textContent = `${target.value} %`;
    onslide(Number(target.value) / 100);
  }

  function set(share, usable = true) {
    input.value = String(Math.round(share * 100));
    input.disabled = !usable;
    shown.textContent = `${input.value} %`;
  }

  return { element, set };
}
