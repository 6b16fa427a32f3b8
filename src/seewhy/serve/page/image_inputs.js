/** Where images come from: chosen, dropped, pasted, or one of the samples. */

const element = (id) => document.getElementById(id);

/** Hands every image that comes to `ontake`, as a file; says to `onwarn` why one is not taken. */
export function takeImages(limits, ontake, onwarn) {
  function take(file) {
    if (file === undefined) {
      onwarn("That is no file. Drop or paste an image’s file.");
    } else if (file.size > limits.max_bytes) {
      onwarn(`${file.name} has more than ${limits.max_bytes.toLocaleString("en")} bytes. Shrink it first.`);
    } else {
      preview(file);
      ontake(file);
    }
  }

  element("file").addEventListener("change", (event) => {
    if (event.target.files.length > 0) {
      take(event.target.files[0]);
      event.target.value = ""; // so that the same file can be chosen again
    }
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) {
      take(event.clipboardData.files[0]);
    }
  });
  takeDrops(take);
  takeSamples(take, onwarn);
}

function takeDrops(take) {
  const drop = element("drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) {
      drop.classList.remove("over");
    }
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
}

function takeSamples(take, onwarn) {
  element("samples").addEventListener("click", async (event) => {
    const name = event.target.closest("button")?.dataset.sample;
    if (name === undefined) {
      return;
    }
    const response = await fetch(`page/samples/${name}`);
    if (response.ok) {
      take(new File([await response.blob()], name, { type: "image/jpeg" }));
    } else {
      onwarn(`The sample cannot be had: the server answered ${response.status}.`);
    }
  });
}

/** Shows what was taken, where the browser can: not every format that the server reads is one of its own. */
function preview(file) {
  const preview = element("preview");
  const address = URL.createObjectURL(file);
  preview.onload = () => {
    preview.hidden = false;
    URL.revokeObjectURL(address);
  };
  preview.onerror = () => {
    preview.hidden = true;
    URL.revokeObjectURL(address);
  };
  preview.alt = `Chosen: ${file.name}`;
  preview.src = address;
}
