/** The images of a data set, a page at a time, with filters; the viewer shows those of the page. */

import { createElement, createSelect } from "./dom.js";
import { CONFIDENCES, ORDERS, VERDICTS } from "./gallery_filter.js";
import { defaultDataSetFilter, EVIDENCE } from "./data_set_filter.js";
import { mount } from "./viewer.js";

const PAGE_SIZE = 48;
const TYPING_PAUSE = 200;
const WIDE_ENOUGH = "(min-width: 48rem)";

/**
 * Shows the images of a data set in an element.
 *
 * `data` is the viewer's input without images, with `choices`: {predicted, labels, clusters, has_verdicts}, the names of
 * classes and [key, text] of clusters. `source` is {query, load}: `query(filter, start, count)` promises {count, images},
 * the number of images that pass the filter, and the summaries of some of them, each with its `row`; `load(row)`
 * promises the entry of one.
 */
export function mountDataSet(element, data, source) {
  const filter = defaultDataSetFilter();
  const status = createElement("p", { class: "note", role: "status", tabindex: -1 });
  const frame = createElement("div", {});
  const [previous, next] = [["‹ Previous page", -1], ["Next page ›", 1]].map(([text, step]) =>
    createElement("button", { type: "button", onclick: () => turn(step) }, text),
  );
  const pageText = createElement("span", { class: "note" });
  const pager = createElement("nav", { class: "navigation pager", "aria-label": "Pages" }, previous, next, pageText);
  const filters = createDataSetFilters(data.choices, change);
  let viewer = null;
  let rows = [];
  let start = 0;
  let count = 0;
  let request = 0;

  element.classList.add("seewhy");
  frame.addEventListener("seewhy-ready", showFromItsTop);
  element.replaceChildren(filters.element, status, frame, pager);
  show();
  return { showCluster };

  function change(changes) {
    Object.assign(filter, changes);
    start = 0;
    show();
  }

  function turn(step) {
    start += step * PAGE_SIZE;
    show();
    status.focus();
    element.scrollIntoView();
  }

  /** Scrolls to an image that was opened: what was above it is hidden now. */
  function showFromItsTop() {
    if (frame.querySelector(".navigation:not([hidden])") !== null) {
      element.scrollIntoView();
    }
  }

  /** Shows the images of a cluster, and nothing else. */
  function showCluster(key) {
    filters.reset({ cluster: key });
    Object.assign(filter, defaultDataSetFilter());
    change({ cluster: key });
    element.scrollIntoView();
    status.focus();
  }

  async function show() {
    request += 1;
    const own = request;
    try {
      const page = await source.query({ ...filter }, start, PAGE_SIZE);
      if (own === request) {
        count = page.count;
        showPage(page.images);
      }
    } catch (error) {
      if (own === request) {
        status.textContent = `The images cannot be listed: ${error.message}`;
      }
    }
  }

  function showPage(images) {
    rows = images.map((image) => image.row);
    const last = start + images.length;
    const range = count > PAGE_SIZE ? `, ${(start + 1).toLocaleString("en")} to ${last.toLocaleString("en")} here` : "";
    status.textContent = `${count.toLocaleString("en")} of ${data.total.toLocaleString("en")} images${range}`;
    pager.hidden = count <= PAGE_SIZE;
    [previous.disabled, next.disabled] = [start === 0, last >= count];
    pageText.textContent = `Page ${Math.floor(start / PAGE_SIZE) + 1} of ${Math.max(1, Math.ceil(count / PAGE_SIZE))}`;
    frame.hidden = images.length === 0;
    if (images.length > 0) {
      const shown = { ...data, images };
      const load = (position) => source.load(rows[position]);
      viewer === null ? (viewer = mount(frame, shown, { load, gallery: "plain" })) : viewer.update(shown);
    }
    element.dataset.ready = String(request);
  }
}

/** Creates the filters, which are folded on small screens; their heading counts those in use. */
function createDataSetFilters(choices, onfilter) {
  const used = new Set();
  const summary = createElement("summary", {}, "");
  const selects = new Map();
  const named = (names) => [["", "All"], ...names.map((name) => [name, name])];
  const add = (label, name, options) => {
    const [[unused]] = options;
    const field = createSelect(label, options, unused, (value) => {
      used[value === unused ? "delete" : "add"](name);
      updateSummary();
      onfilter({ [name]: value });
    });
    selects.set(name, { select: field.querySelector("select"), unused });
    return field;
  };
  const orders = ORDERS.filter(([order]) => choices.has_verdicts || order !== "wrong-first");
  const fields = [
    add("Sort by", "order", orders),
    add("Predicted class", "predicted", named(choices.predicted)),
    choices.labels.length > 0 ? add("True class", "label", named(choices.labels)) : null,
    choices.has_verdicts ? add("Predictions", "verdict", VERDICTS) : null,
    add("Confidence", "confidence", CONFIDENCES),
    add("Maps", "evidence", EVIDENCE),
    choices.clusters.length > 0 ? add("Cluster", "cluster", [["", "All"], ...choices.clusters]) : null,
  ];
  const search = createElement("input", { type: "search", oninput: searchAfterPause });
  let pause = 0;
  const element = createElement(
    "div",
    { class: "filters", role: "search" },
    createElement("label", { class: "field" }, createElement("span", {}, "Search names and classes"), search),
    createElement(
      "details",
      { open: matchMedia(WIDE_ENOUGH).matches },
      summary,
      createElement("div", { class: "fields" }, ...fields),
    ),
  );
  updateSummary();

  function updateSummary() {
    summary.textContent = used.size > 0 ? `Sort and filter (${used.size} in use)` : "Sort and filter";
  }

  function searchAfterPause() {
    clearTimeout(pause);
    pause = setTimeout(() => onfilter({ search: search.value }), TYPING_PAUSE);
  }

  /** Sets every filter to what it was at first, but for these. */
  function reset(changes) {
    clearTimeout(pause);
    used.clear();
    search.value = "";
    for (const [name, { select, unused }] of selects) {
      select.value = changes[name] ?? unused;
      if (select.value !== unused) {
        used.add(name);
      }
    }
    updateSummary();
  }

  return { element, reset };
}

/** Lets the buttons of a page that show a cluster do so; without scripts they are hidden. */
export function connectClusterButtons(page, gallery) {
  for (const button of page.querySelectorAll("button[data-cluster]")) {
    button.hidden = false;
    button.addEventListener("click", () => gallery.showCluster(button.dataset.cluster));
  }
}
