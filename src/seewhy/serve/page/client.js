/** Requests to the API. All URLs are relative to the page's, so that it works below any path of a reverse proxy. */

const MAX_RETRIES = 5;

/** Returns one of the API's lists. */
export async function fetchList(path) {
  const response = await fetch(`api/${path}`);
  if (!response.ok) {
    throw new Error(await errorMessage(response));
  }
  return response.json();
}

/**
 * Requests explanations of an image, and returns the response.
 *
 * Args: the file; the other fields of the form; a signal that aborts the request; and a function that receives the
 * progress (`progressText`). If the server is busy, retries after the time the server names, at most MAX_RETRIES times.
 */
export async function requestExplanation(image, fields, signal, onprogress) {
  for (let retries = MAX_RETRIES; ; retries -= 1) {
    const response = await fetch("api/explain", { method: "POST", body: createForm(image, fields), signal });
    if (response.ok) {
      return readResult(response, onprogress);
    }
    if (response.status !== 503 || retries === 0) {
      throw new Error(await errorMessage(response));
    }
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    const text = `The server is busy. Trying again in ${seconds} s…`;
    onprogress({ text, fraction: null, announcement: "The server is busy" });
    await sleep(seconds, signal);
  }
}

function createForm(image, fields) {
  const form = new FormData();
  form.append("image", image, image.name || "pasted image");
  for (const [name, value] of Object.entries({ ...fields, format: "viewer", signed: true, progress: true })) {
    form.append(name, value);
  }
  return form;
}

async function readResult(response, onprogress) {
  for await (const line of jsonLines(response.body)) {
    if (line.result) {
      return line.result;
    }
    if (line.error) {
      throw new Error(line.error.message);
    }
    onprogress(progressText(line.progress));
  }
  throw new Error("The connection was closed before the result arrived. See the server's log for details.");
}

async function* jsonLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let incomplete = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (incomplete + (value ?? "")).split("\n");
    incomplete = lines.pop();
    for (const line of lines) {
      yield JSON.parse(line);
    }
    if (done) {
      return;
    }
  }
}

/** Returns {text, fraction, announcement} for a progress event; the announcement is for screen readers. */
function progressText(event) {
  if (event === null) {
    return { text: "Waiting for other requests…", fraction: null, announcement: "Waiting" };
  }
  const { explanation, explanation_count: count, title, runs, run_count: runCount } = event;
  if (explanation === 0) {
    return { text: "Reading the image…", fraction: null, announcement: "Explaining" };
  }
  const prefix = count > 1 ? `Heatmap ${explanation} of ${count}: ` : "";
  const suffix = runCount > 0 ? `, ${runs.toLocaleString("en")} of ${runCount.toLocaleString("en")} runs` : "…";
  const done = explanation - 1 + (runCount > 0 ? runs / runCount : 0);
  const fraction = runCount > 0 || count > 1 ? done / count : null;
  return { text: `${prefix}${title}${suffix}`, fraction, announcement: `${prefix}${title}` };
}

async function errorMessage(response) {
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return isJson ? (await response.json()).error.message : `The server responded with status ${response.status}.`;
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
