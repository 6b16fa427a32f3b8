/** The ways to choose an image: the file dialog, drag and drop, paste, and the samples. */

const element = (id) => document.getElementById(id);

/** Calls `onimage` with the file of each image that is chosen, and `onerror` with a message if it cannot be used. */
export function connectImageInputs(limits, onimage, onerror) {
  function useFile(file) {
    if (file === undefined) {
      onerror("There is no file in it. Drop or paste an image file.");
    } else if (file.size > limits.max_bytes) {
      onerror(`${file.name} has more than ${limits.max_bytes.toLocaleString("en")} bytes. Choose a smaller image.`);
    } else {
      showPreview(file);
      onimage(file);
    }
  }

  element("file").addEventListener("change", (event) => {
    if (event.target.files.length > 0) {
      useFile(event.target.files[0]);
      event.target.value = ""; // so that the same file can be chosen again
    }
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) {
      useFile(event.clipboardData.files[0]);
    }
  });
  connectDrop(useFile);
  connectSamples(useFile, onerror);
}

function connectDrop(useFile) {
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
    useFile(event.dataTransfer.files[0]);
  });
}

function connectSamples(useFile, onerror) {
  element("samples").addEventListener("click", async (event) => {
    const name = event.target.closest("button")?.dataset.sample;
    if (name === undefined) {
      return;
    }
    const response = await fetch(`page/samples/${name}`);
    if (response.ok) {
      useFile(new File([await response.blob()], name, { type: "image/jpeg" }));
    } else {
      onerror(`The sample could not be loaded: the server responded with status ${response.status}.`);
    }
  });
}

/** Shows a preview if the browser can: it does not decode every format that the server reads. */
function showPreview(file) {
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
