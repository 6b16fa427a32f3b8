/** The viewer as a widget of a notebook, as anywidget calls it. */

import { mount } from "./viewer.js";

function render({ model, el }) {
  const host = document.createElement("div");
  el.append(host);
  const viewer = mount(host, model.get("document"));
  const change = () => viewer.update(model.get("document"));
  model.on("change:document", change);
  return () => {
    model.off("change:document", change);
    viewer.destroy();
  };
}

export default { render };
