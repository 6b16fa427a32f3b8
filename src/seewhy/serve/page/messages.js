/** The messages above the result: an alert for what failed, and a note for what is not an error. */

const element = (id) => document.getElementById(id);

/** Shows what failed. `retry`, if it is given, is called when the user chooses to try again. */
export function showAlert(message, retry = null) {
  hideMessages();
  element("alert-text").textContent = message;
  element("retry").hidden = retry === null;
  element("retry").onclick = retry;
  element("alert").hidden = false;
}

/** Shows a message that is not an error. */
export function showNote(message) {
  hideMessages();
  element("note").textContent = message;
  element("note").hidden = false;
}

/** Hides the alert and the note. */
export function hideMessages() {
  element("alert").hidden = true;
  element("note").hidden = true;
}
