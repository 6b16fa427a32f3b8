/** Mounts the viewer of a report: the page contains the viewer's input and each image's entry as JSON. */

import { mount } from "./viewer.js";

const parseScript = (id) => JSON.parse(document.getElementById(id).textContent);

mount(document.getElementById("viewer"), parseScript("viewer-data"), {
  load: (position) => parseScript(`image-${position}`),
});
