/** The viewer as a notebook widget, in the form that anywidget expects. */

import { mount } from "./viewer.js";

function render({ model, el }) {
  const host = document.createElement("div");
  el.append(host);
  const viewer = mount(host, model.get("data"));
  const onchange = () => viewer.update(model.get("data"));
  model.on("change:data", onchange);
  return () => {
    model.off("change:data", onchange);
    viewer.destroy();
  };
}

export default { render };
