/** A report opens itself: its document, and each of its images, lie in the page as JSON. */

import { mount } from "./viewer.js";

const parsed = (id) => JSON.parse(document.getElementById(id).textContent);

mount(document.getElementById("viewer"), parsed("document"), { load: (position) => parsed(`image-${position}`) });
