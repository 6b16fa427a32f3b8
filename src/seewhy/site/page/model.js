/** Runs the exported model in the browser, with ONNX Runtime Web. */

import { readFiles } from "./downloads.js";

/** This browser cannot run the model; the message says why, and what to do. */
export class UnsupportedError extends Error {}

/** A module with one instruction on vectors, which ONNX Runtime is compiled to. */
const SIMD_MODULE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** Throws an error in words if this browser has no WebAssembly, or one that is too old. */
export function checkBrowser() {
  if (typeof WebAssembly !== "object") {
    throw new UnsupportedError(
      "This browser does not run WebAssembly, which the model needs. It may be switched off, as in the lockdown mode of " +
        "Apple's devices: allow it for this page, or open the page in another browser.",
    );
  }
  if (!WebAssembly.validate(SIMD_MODULE)) {
    throw new UnsupportedError(
      "This browser is too old to run the model: its WebAssembly has no SIMD instructions. Update it, or open the page " +
        "in a current Firefox, Chrome, Edge or Safari.",
    );
  }
}

/**
 * Loads ONNX Runtime and the model, and returns {run}. `onprogress` receives the bytes so far and their total; at the
 * end, while the model is prepared, they are equal.
 *
 * `run(pixels)` takes the model's input (photo.js) and returns its outputs: `scores` and `probabilities`, one for each
 * class; `heatmaps`, their values and {rows, columns}; and `classes`, the class of each heatmap.
 */
export async function loadModel({ model, runtime, preprocessing, classes: knownClasses }, onprogress) {
  const [ort, [wasm, content]] = await readAll(model, runtime, onprogress);
  Object.assign(ort.env.wasm, { wasmBinary: wasm.buffer, numThreads: 1, proxy: false });
  let session;
  try {
    session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new UnsupportedError(`The model cannot be started in this browser. ${error.message ?? error}`, { cause: error });
  }
  const [height, width] = preprocessing.size;
  const run = async (pixels) => {
    const image = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    try {
      return readOutputs(await session.run({ image }), knownClasses);
    } catch (error) {
      const advice = "It may lack memory: close other tabs, and load this page again.";
      throw new Error(`The model failed in this browser: ${error.message ?? error}. ${advice}`, { cause: error });
    }
  };
  return { run };
}

/** Reads the runtime and the model at once. When one of them fails, the others are not read any further. */
async function readAll(model, runtime, onprogress) {
  const controller = new AbortController();
  const { signal } = controller;
  const report = (done, total) => signal.aborted || onprogress(done, total);
  try {
    return await Promise.all([importRuntime(runtime.script), readFiles([runtime.wasm, model.file], report, signal)]);
  } catch (error) {
    controller.abort();
    throw error;
  }
}

async function importRuntime(path) {
  try {
    return await import(`../${path}`);
  } catch (error) {
    const advice = "Upload the whole folder that “seewhy site” wrote, as it is.";
    throw new UnsupportedError(`The file ${path} cannot be loaded. ${advice}`, { cause: error });
  }
}

/** `knownClasses` are those of the heatmaps, if they are always the same and not all. */
function readOutputs({ scores, probabilities, heatmaps, classes }, knownClasses) {
  const [, count, rows, columns] = heatmaps.dims;
  return {
    scores: scores.data,
    probabilities: probabilities.data,
    heatmaps: { values: heatmaps.data, rows, columns },
    classes: classes ? Array.from(classes.data, Number) : (knownClasses ?? Array.from({ length: count }, (_, i) => i)),
  };
}
