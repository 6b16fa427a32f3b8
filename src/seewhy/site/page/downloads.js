/** Reads the folder's own files, with progress. */

/** A file of the folder cannot be read; the message says which and why. */
export class DownloadError extends Error {}

/** Reads a JSON file. */
export async function readJson(path) {
  const response = await request(path, { cache: "no-cache" });
  try {
    return await response.json();
  } catch (error) {
    throw new DownloadError(`The file ${path} is not what “seewhy site” wrote. ${ADVICE}`, { cause: error });
  }
}

/**
 * Reads files {path, bytes, version} at once, and returns their contents, Uint8Arrays, in that order. `onprogress`
 * receives the number of bytes so far and their total. `signal` aborts the reading.
 */
export async function readFiles(files, onprogress, signal) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  return Promise.all(
    files.map((file) =>
      readFile(file, signal, (count) => {
        done += count;
        onprogress(done, total);
      }),
    ),
  );
}

const ADVICE = "Upload the whole folder that “seewhy site” wrote, as it is.";

async function readFile({ path, bytes, version }, signal, onchunk) {
  const response = await request(path, { version, signal }); // another version has another address, in any cache
  const content = new Uint8Array(bytes);
  let size = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      if (size + value.length <= bytes) {
        content.set(value, size);
      }
      size += value.length;
      onchunk(value.length);
    }
  } catch (error) {
    throw new DownloadError(`The connection broke while ${path} was loaded. Try again.`, { cause: error });
  }
  if (size !== bytes) {
    const sizes = `it has ${size.toLocaleString("en")} bytes, and had ${bytes.toLocaleString("en")} when it was written`;
    throw new DownloadError(`The file ${path} is not what “seewhy site” wrote: ${sizes}. ${ADVICE}`);
  }
  if (!(await isVersion(content, version))) {
    throw new DownloadError(`The file ${path} is not what “seewhy site” wrote: its content is another. ${ADVICE}`);
  }
  return content;
}

/** Whether a content has a version, the beginning of its SHA-256; true where browsers compute none, which is without HTTPS. */
async function isVersion(content, version) {
  if (crypto.subtle === undefined) {
    return true;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const text = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.startsWith(version);
}

async function request(path, { version = null, ...options }) {
  let response;
  try {
    response = await fetch(version === null ? path : `${path}?${version}`, options);
  } catch (error) {
    throw new DownloadError(`The file ${path} cannot be loaded. Check the connection, then try again.`, { cause: error });
  }
  if (!response.ok) {
    throw new DownloadError(`The file ${path} is missing on this host (status ${response.status}). ${ADVICE}`);
  }
  return response;
}
