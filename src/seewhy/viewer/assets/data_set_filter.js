/** Which images of a data set are shown: the filters of a gallery, and some more. */

import { filterImages } from "./gallery_filter.js";

export const EVIDENCE = [
  ["any", "All"],
  ["some", "With evidence"],
  ["none", "Empty"],
];

/** Returns the filter that the page starts with, which every image passes. */
export function defaultDataSetFilter() {
  return {
    search: "",
    order: "original",
    predicted: "",
    label: "",
    confidence: "any",
    verdict: "any",
    evidence: "any",
    cluster: "",
  };
}

/**
 * Returns the positions of the images that pass the filter, in its order. `images` are summaries that also have
 * `has_evidence`, and `cluster`, the key of their cluster or "".
 */
export function filterDataSet(images, filter) {
  return filterImages(images, filter).filter((position) => passesMore(images[position], filter));
}

function passesMore(image, { label, evidence, cluster }) {
  const hasEvidence = evidence === "any" || image.has_evidence === (evidence === "some");
  return hasEvidence && (label === "" || image.label === label) && (cluster === "" || image.cluster === cluster);
}
