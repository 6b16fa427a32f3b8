/** Creates elements. Text is only ever set as text, so the name of a file or a class cannot become markup. */

/** Creates an element. `onclick` adds an event handler; `true` sets an attribute, `false` and `null` omit it. */
export function createElement(tag, attributes = {}, ...children) {
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

/** Creates a group of radio buttons: `choices` are [value, text], and `onchange` receives the chosen value. */
export function createRadioGroup(legend, choices, chosen, onchange) {
  const name = `seewhy-${Math.random().toString(36).slice(2)}`;
  const labels = choices.map(([value, text]) => {
    const input = createElement("input", { type: "radio", name, value, onchange: () => onchange(value) });
    input.checked = value === chosen;
    return createElement("label", { class: "chip" }, input, createElement("span", {}, text));
  });
  const chips = createElement("div", { class: "chips" }, ...labels);
  return createElement("fieldset", { class: "choice" }, createElement("legend", {}, legend), chips);
}

/** Creates a drop-down list of [value, text]. */
export function createSelect(label, choices, chosen, onchange) {
  const options = choices.map(([value, text]) => createElement("option", { value }, text));
  const select = createElement("select", { onchange: (event) => onchange(event.target.value) }, ...options);
  select.value = chosen;
  return createElement("label", { class: "field" }, createElement("span", {}, label), select);
}

/** Creates a checkbox. */
export function createCheckbox(label, checked, onchange) {
  const input = createElement("input", { type: "checkbox", onchange: (event) => onchange(event.target.checked) });
  input.checked = checked;
  return createElement("label", { class: "check" }, input, createElement("span", {}, label));
}

/** Creates a slider in percent; `set` moves it and enables or disables it. */
export function createSlider(label, oninput) {
  const output = createElement("output", {});
  const input = createElement("input", { type: "range", min: 0, max: 100, step: 1, oninput: update });
  const element = createElement("label", { class: "field slider" }, createElement("span", {}, label), input, output);

  function update() {
    output.textContent = `${input.value}%`;
    oninput(Number(input.value) / 100);
  }

  function set(fraction, enabled = true) {
    input.value = String(Math.round(fraction * 100));
    input.disabled = !enabled;
    output.textContent = `${input.value}%`;
  }

  return { element, set };
}
