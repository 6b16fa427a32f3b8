/** Mounts the images of the report of a data set: the page contains their summaries, and each one's entry, as JSON. */

import { filterDataSet } from "./data_set_filter.js";
import { connectClusterButtons, mountDataSet } from "./data_set_page.js";

const parseElement = (id) => JSON.parse(document.getElementById(id).textContent);
const { images: summaries, ...reportData } = parseElement("viewer-data");

async function querySummaries(filter, start, count) {
  const positions = filterDataSet(summaries, filter);
  const shown = positions.slice(start, start + count).map((position) => ({ ...summaries[position], row: position }));
  return { count: positions.length, images: shown };
}

const gallery = mountDataSet(document.getElementById("viewer"), reportData, {
  query: querySummaries,
  load: (row) => parseElement(`image-${row}`),
});
connectClusterButtons(document, gallery);
