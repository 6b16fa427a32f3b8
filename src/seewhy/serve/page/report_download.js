/** A report: one file that shows the result by itself, put together here of an empty one and of what was answered. */

/** Has the browser save a document of the viewer, with one image, as a report. */
export async function downloadReport(content) {
  const response = await fetch("report.html");
  if (!response.ok) {
    throw new Error(`The report cannot be made: the server answered ${response.status}.`);
  }
  const [image] = content.images;
  const { photo, maps, ...summary } = image;
  const filled = [
    ["document", { ...content, images: [summary] }],
    ["image-0", image],
  ].reduce(filledIn, await response.text());
  const page = filled.replaceAll("SeeWhy: </", () => `SeeWhy: ${escaped(image.name)}</`);
  save(page, `${image.name.replace(/\.[^.]*$/, "")}_report.html`);
}

/** Puts JSON into the script element of that id. Without a `<` in it, nothing can end the element. */
function filledIn(page, [id, value]) {
  const start = page.indexOf(`id="${id}">`) + `id="${id}">`.length;
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return page.slice(0, start) + json + page.slice(page.indexOf("</script>", start));
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
