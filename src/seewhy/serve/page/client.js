/** Asking the server. Its addresses are relative to the page's, which may lie anywhere behind a proxy. */

const PATIENCE = 5;

/** Returns one of the API's lists. */
export async function listOf(path) {
  const response = await fetch(`api/${path}`);
  if (!response.ok) {
    throw new Error(await reasonOf(response));
  }
  return response.json();
}

/**
 * Asks about an image, and returns the answer.
 *
 * Args: the file; the form's other fields; a signal that ends it; and what is told how far it has come (`inWords`).
 * Where the server is busy it asks again, as often as PATIENCE, when the server says.
 */
export async function ask(image, fields, signal, ontell) {
  for (let left = PATIENCE; ; left -= 1) {
    const response = await fetch("api/explain", { method: "POST", body: formOf(image, fields), signal });
    if (response.ok) {
      return answerOf(response, ontell);
    }
    if (response.status !== 503 || left === 0) {
      throw new Error(await reasonOf(response));
    }
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    ontell({ text: `The server is busy. Asking again in ${seconds} s…`, share: null, spoken: "The server is busy" });
    await pause(seconds, signal);
  }
}

function formOf(image, fields) {
  const form = new FormData();
  form.append("image", image, image.name || "pasted image");
  for (const [name, value] of Object.entries({ ...fields, format: "document", signed: true, progress: true })) {
    form.append(name, value);
  }
  return form;
}

async function answerOf(response, ontell) {
  for await (const line of linesOf(response.body)) {
    if (line.result) {
      return line.result;
    }
    if (line.error) {
      throw new Error(line.error.message);
    }
    ontell(inWords(line.progress));
  }
  throw new Error("The server broke off before it had answered. Its log may say why.");
}

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (kept + (value ?? "")).split("\n");
    kept = lines.pop();
    for (const line of lines) {
      yield JSON.parse(line);
    }
    if (done) {
      return;
    }
  }
}

/** Says how far it has come: {text, share, spoken}; the share null where it is not known; and what is to be heard. */
function inWords(progress) {
  if (progress === null) {
    return { text: "Waiting for its turn…", share: null, spoken: "Waiting" };
  }
  const { part, parts, title, done, total } = progress;
  if (part === 0) {
    return { text: "Reading the image…", share: null, spoken: "Explaining" };
  }
  const which = parts > 1 ? `Map ${part} of ${parts}: ` : "";
  const runs = total > 0 ? `, ${done.toLocaleString("en")} of ${total.toLocaleString("en")} runs` : "…";
  const share = total > 0 || parts > 1 ? (part - 1 + (total > 0 ? done / total : 0)) / parts : null;
  return { text: `${which}${title}${runs}`, share, spoken: `${which}${title}` };
}

async function reasonOf(response) {
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return isJson ? (await response.json()).error.message : `The server answered ${response.status}.`;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
