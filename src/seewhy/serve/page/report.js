/** A report: one file that shows the result by itself, put together here of an empty one and of what was answered. */

/** Has the browser save a document of the viewer, with one picture, as a report. */
export async function downloadReport(content) {
  const response = await fetch("report.html");
  if (!response.ok) {
    throw new Error(`The report cannot be made: the server answered ${response.status}.`);
  }
  const [picture] = content.pictures;
  const { photo, maps, ...summary } = picture;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  page.getElementById("document").textContent = inScript({ ...content, pictures: [summary] });
  page.getElementById("picture-0").textContent = inScript(picture);
  page.title = `SeeWhy: ${picture.name}`;
  page.querySelector("h1").textContent = page.title;
  save(`<!doctype html>\n${page.documentElement.outerHTML}\n`, `${picture.name.replace(/\.[^.]*$/, "")}_report.html`);
}

/** Writes JSON that can stand in a script element: without a `<`, nothing can end it. */
function inScript(value) {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
