/** The ways to choose an image: the file dialog, drag and drop, paste, and the samples. */

const element = (id) => document.getElementById(id);

/**
 * Calls `onfile` with each file that is chosen, and `onerror` with a message if there is none. `fetchSample(name)` promises
 * the response with a sample.
 */
export function connectImageInputs(onfile, onerror, fetchSample) {
  element("file").addEventListener("change", (event) => {
    if (event.target.files.length > 0) {
      onfile(event.target.files[0]);
      event.target.value = ""; // so that the same file can be chosen again
    }
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) {
      onfile(event.clipboardData.files[0]);
    }
  });
  connectDrop(onfile, onerror);
  connectSamples(onfile, onerror, fetchSample);
}

function connectDrop(onfile, onerror) {
  const dropZone = element("drop-zone");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    dropZone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) {
      dropZone.classList.remove("over");
    }
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dropZone.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file === undefined) {
      onerror("There is no file in what was dropped. Drop an image file.");
    } else {
      onfile(file);
    }
  });
}

function connectSamples(onfile, onerror, fetchSample) {
  element("samples").addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (button === null) {
      return;
    }
    const { sample } = button.dataset;
    try {
      const response = await fetchSample(sample);
      if (!response.ok) {
        throw new Error(`It is missing on this host (status ${response.status}).`);
      }
      onfile(new File([await response.blob()], sample, { type: "image/jpeg" }));
    } catch (error) {
      onerror(`The sample ${sample} could not be loaded. ${error.message}`);
    }
  });
  for (const photo of element("samples").querySelectorAll("img")) {
    photo.addEventListener("error", () => markFailed(photo));
    if (photo.complete && photo.naturalWidth === 0) {
      markFailed(photo); // before this script ran
    }
  }
}

/** Replaces the photo of a sample that did not load by its description. */
function markFailed(photo) {
  const text = document.createElement("span");
  text.textContent = `${photo.alt} (not loaded)`;
  photo.replaceWith(text);
}

/** Shows a preview if the browser can: it does not decode every format that the server reads. */
export function showPreview(file) {
  const preview = element("preview");
  const url = URL.createObjectURL(file);
  preview.onload = () => {
    preview.hidden = false;
    URL.revokeObjectURL(url);
  };
  preview.onerror = () => {
    preview.hidden = true;
    URL.revokeObjectURL(url);
  };
  preview.alt = `Chosen image: ${file.name}`;
  preview.src = url;
}
