/** Downloads the result as a report: one file, made here of a template and the data that is shown. */

/** Lets the browser save the viewer's data, of one image, as a report. `template` is the page of an empty report. */
export function downloadReport(data, template) {
  const [image] = data.images;
  const { photo, explanations, ...summary } = image;
  let page = template;
  page = fillScript(page, "viewer-data", { ...data, images: [summary] });
  page = fillScript(page, "image-0", image);
  page = page.replaceAll("SeeWhy: </", () => `SeeWhy: ${escapeHtml(image.name)}</`);
  saveFile(page, `${image.name.replace(/\.[^.]*$/, "")}_report.html`);
}

/** Writes JSON into the script element with this id. Without a `<`, it cannot end the element. */
function fillScript(page, id, value) {
  const start = page.indexOf(`id="${id}">`) + `id="${id}">`.length;
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return page.slice(0, start) + json + page.slice(page.indexOf("</script>", start));
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function saveFile(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
