/** Mounts the images of a data set, which are read from the server a page at a time. */

import { connectClusterButtons, mountDataSet } from "../viewer/data_set_page.js";
import { fetchFromServer } from "./client.js";

const data = JSON.parse(document.getElementById("viewer-data").textContent);

async function fetchJson(url) {
  const response = await fetchFromServer(url);
  return response.json();
}

const gallery = mountDataSet(document.getElementById("viewer"), data, {
  query: (filter, start, count) => fetchJson(`api/rows?${new URLSearchParams({ ...filter, start, count })}`),
  load: (row) => fetchJson(`api/rows/${row}`),
});
connectClusterButtons(document, gallery);
