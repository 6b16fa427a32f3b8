/** Requests to the API. All URLs are relative to the page's, so that it works below any path of a reverse proxy. */

const MAX_RETRIES = 5;
const ADVICE =
  "Check that “seewhy serve” is still running and that this device is connected to it, then try again.";

/** The server refuses the request as it is: sent again, it would be refused again. */
export class RefusedError extends Error {}

/**
 * Fetches something from the server, as `fetch` does, and returns the response. An error says what happened and what to
 * do: the browser's own is “Failed to fetch”, or less.
 */
export async function fetchFromServer(path, options = {}) {
  const response = await connect(path, options);
  if (!response.ok) {
    throw await errorOf(response);
  }
  return response;
}

async function connect(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw options.signal?.aborted ? error : new Error(`The server cannot be reached. ${ADVICE}`, { cause: error });
  }
}

/** Returns one of the API's lists. */
export async function fetchList(path) {
  return (await fetchFromServer(`api/${path}`)).json();
}

/**
 * Requests explanations of an image, and returns the response.
 *
 * Args: the file; the other fields of the form; a signal that aborts the request; a function that receives the progress
 * (`progressText`); and one that receives the response so far whenever one of several explanations is finished. If the
 * server is busy, retries after the time the server names, at most MAX_RETRIES times.
 */
export async function requestExplanation(image, fields, signal, onprogress, onpartial) {
  await checkReadable(image);
  for (let retries = MAX_RETRIES; ; retries -= 1) {
    const response = await connect("api/explain", { method: "POST", body: createForm(image, fields), signal });
    if (response.ok) {
      return readResult(response, signal, onprogress, onpartial);
    }
    if (response.status !== 503 || retries === 0) {
      throw await errorOf(response);
    }
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    const text = `The server is busy. Trying again in ${seconds}\u00a0s…`;
    onprogress({ text, fraction: null, count: null, announcement: "The server is busy" });
    await sleep(seconds, signal);
  }
}

/** Checks that the file is as it was when it was chosen: otherwise the browser does not send it. */
async function checkReadable(image) {
  try {
    await image.slice(0, 1).arrayBuffer();
  } catch (error) {
    const message = `${image.name} cannot be read: it was changed, moved or deleted after it was chosen. Choose it again.`;
    throw new RefusedError(message, { cause: error });
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

async function readResult(response, signal, onprogress, onpartial) {
  let finished = null;
  for await (const line of connectedLines(response.body, signal)) {
    if (line.result) {
      return line.result;
    }
    if (line.error) {
      throw errorWith(line.error);
    }
    if (line.partial) {
      finished = finished === null ? line.partial : joinResponses(finished, line.partial);
      onpartial(finished);
    } else {
      onprogress(progressText(line.progress));
    }
  }
  throw new Error("The server closed the connection before the result arrived. Its log says why. Then try again.");
}

/** Returns the response with the explanations of two responses for the same image. */
function joinResponses(response, next) {
  const [image] = response.viewer_data.images;
  const explanations = [...image.explanations, ...next.viewer_data.images[0].explanations];
  return { ...next, viewer_data: { ...response.viewer_data, images: [{ ...image, explanations }] } };
}

/** Yields the lines of a response, and throws an error that says what to do if the connection ends before it. */
async function* connectedLines(body, signal) {
  try {
    yield* jsonLines(body);
  } catch (error) {
    const message = `The connection to the server was interrupted before the result arrived. ${ADVICE}`;
    throw signal.aborted ? error : new Error(message, { cause: error });
  }
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

/**
 * Returns {text, fraction, count, announcement} for a progress event: `count` is the number of heatmaps, or null, and the
 * announcement is for screen readers.
 */
function progressText(event) {
  if (event === null) {
    return { text: "Waiting for other requests…", fraction: null, count: null, announcement: "Waiting" };
  }
  const { explanation, explanation_count: count, title, runs, run_count: runCount } = event;
  if (explanation === 0) {
    return { text: "Reading the image…", fraction: null, count: null, announcement: "Explaining" };
  }
  const prefix = count > 1 ? `Heatmap ${explanation} of ${count}: ` : "";
  const suffix = runCount > 0 ? `, ${runs.toLocaleString("en")} of ${runCount.toLocaleString("en")} runs` : "…";
  const done = explanation - 1 + (runCount > 0 ? runs / runCount : 0);
  const fraction = runCount > 0 || count > 1 ? done / count : null;
  return { text: `${prefix}${title}${suffix}`, fraction, count, announcement: `${prefix}${title}` };
}

/** Returns the error of an error response; one without JSON is not SeeWhy's, but such as a proxy's. */
async function errorOf(response) {
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return isJson
    ? errorWith((await response.json()).error)
    : new Error(`The server responded with status ${response.status}, and does not say why. ${ADVICE}`);
}

/** Returns the error that the API describes: a status from 400 to 499 says that the request is at fault. */
function errorWith({ message, status }) {
  return status >= 400 && status < 500 ? new RefusedError(message) : new Error(message);
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
