/** The texts above and below an image's panes: what all panes share is said once. */

import { isCropped, joinFacts } from "./pane_contents.js";

/**
 * Returns the headings {title, detail} of the contents of panes (pane_contents.js): `shared`, for what all panes have in
 * common, and `panes`, one each for what distinguishes it, or null. A heading without a title is null.
 */
export function paneHeadings(contents) {
  const [first] = contents;
  if (contents.length === 1) {
    return { shared: { title: first.title, detail: joinFacts(first.facts) }, panes: [null] };
  }
  const hasInputs = contents.some(({ background }) => background.input !== "");
  const isShared = first.facts.map((fact, i) => contents.every((content) => content.facts[i] === fact));
  const ownFacts = contents.map(({ facts }) => facts.filter((_, i) => !isShared[i]));
  const detail = joinFacts(first.facts.filter((_, i) => isShared[i]));
  const hasOneTitle = contents.every(({ title }) => title === first.title) && (hasInputs || ownFacts[0].length > 0);
  const ownTitle = ({ title, background }, facts) => {
    const own = [hasInputs ? background.input : null, hasOneTitle ? null : title].filter(Boolean).join(": ");
    return own === "" ? { title: joinFacts(facts), detail: "" } : { title: own, detail: joinFacts(facts) };
  };
  return {
    shared: { title: hasOneTitle ? first.title : "", detail },
    panes: contents.map((content, i) => ownTitle(content, ownFacts[i])),
  };
}

/**
 * Returns how to read the panes: `shared`, one text for all of them, and `panes`, the text of each pane or null: its
 * warning, or its own explanation if the panes do not have the same.
 */
export function paneCaptions(contents, style) {
  const drawn = contents.filter(({ warning }) => warning === null);
  const names = new Set(drawn.map(({ name }) => name));
  const kind = drawn.every((content) => content.kind === drawn[0].kind) ? drawn[0]?.kind : "target";
  const subjectOf = ({ name }) => (names.size === 1 ? `“${name}”` : `the ${kind} named above the image`);
  const texts = drawn.map((content) => captionText(content, style, subjectOf(content)));
  if (new Set(texts).size <= 1) {
    return { shared: texts[0] ?? "", panes: contents.map(({ warning }) => warning) };
  }
  return {
    shared: "",
    panes: contents.map((content) => content.warning ?? captionText(content, style, `“${content.name}”`)),
  };
}

/** Returns what the checks of the heatmaps say, with the title of each where there are several panes; "" without one. */
export function checkText(contents) {
  const checked = contents.filter(({ check }) => check);
  const isOne = contents.length === 1;
  return checked.map(({ title, facts, check }) => (isOne ? check : `${title}, ${facts[1]}: ${check}`)).join("\n");
}

function captionText(content, style, subject) {
  const threshold = `${Math.round(100 * style.threshold)}% of the peak`;
  const modeText = {
    contour: `Contour lines join places of equal value, from ${threshold} upwards.`,
    box: `Boxes surround connected regions of at least ${threshold}; the thick one surrounds the largest region.`,
  };
  const cropText = isCropped(content.heatmap) ? "Nothing is known about the part that the model did not see." : null;
  const texts = [frameText(content), modeText[style.mode], evidenceText(content, subject), cropText];
  return texts.filter(Boolean).join(" ");
}

function frameText({ frames }) {
  const texts = [null, "The white frame is the box that the detector found.", "The white frames are the two boxes."];
  return texts[frames.length];
}

function evidenceText({ heatmap, minus, kind, background }, subject) {
  if (minus !== null) {
    return (
      `Warm colours are stronger evidence for “${minus[0]}”, cold colours for “${minus[1]}”. ` +
      "The raw heatmaps are subtracted in their own units, before any scaling."
    );
  }
  const colours = heatmap.signed
    ? `Warm colours are evidence for ${subject}, cold colours evidence against it.`
    : `The brighter a place, the stronger the evidence for ${subject}.`;
  const likely = { detection: "a sure detection", class: "a probable class", target: "a high score" }[kind];
  const peak = heatmap.largest === null ? "its own peak" : `its peak in all of ${background.noun}`;
  const scale = `Each heatmap is scaled to ${peak}, so a bright one does not mean ${likely}.`;
  const units = "The values at the ends of the colour bars have the same units in all images.";
  return [colours, scale, background.input === "" ? null : units].filter(Boolean).join(" ");
}
