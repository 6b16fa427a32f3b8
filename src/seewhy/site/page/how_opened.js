// Not a module: it says why modules do not run, from the disk and in browsers that are too old, in the words of both.

(function () {
  var text = "";
  if (location.protocol === "file:") {
    text =
      "This page was opened from the disk, from which browsers load no models. Put the folder on a web server, or run " +
      "“python -m http.server” in it, and open http://localhost:8000/.";
  } else if (!("noModule" in document.createElement("script"))) {
    text = "This browser is too old for this page. Update it, or open the page in a current one.";
  }
  if (text !== "") {
    document.getElementById("not-started-text").textContent = text;
    document.getElementById("not-started").hidden = false;
    document.getElementById("layout").hidden = true;
  }
})();
