/** What an image's panes show: one target of one map, or the difference of two. */

import { percent, short } from "./numbers.js";

/** Returns what tells targets apart: the same class is the same in the maps of every method and layer. */
export function keyOf(target) {
  return `${target.index} ${target.name}`;
}

/**
 * Returns every target of an image's maps, each once: those of the maps at `position` as these have them, and those
 * that only others have, with a probability only where it is the same model's.
 */
export function targetsOf(image, position) {
  const chosen = image.maps[position];
  const found = new Map(chosen.targets.map((target) => [keyOf(target), target]));
  for (const maps of image.maps) {
    for (const target of maps.targets) {
      if (!found.has(keyOf(target))) {
        const probability = maps.model === chosen.model ? target.probability : null;
        found.set(keyOf(target), { ...target, probability });
      }
    }
  }
  return [...found.values()];
}

/**
 * Returns what is shown, one for each pane.
 *
 * `choice` is {current, pinned, maps, all, difference, against}: keys of targets; which of the image's maps, and
 * whether all of them; whether two pinned classes are shown as their difference; and whether evidence against a target
 * is shown.
 */
export function subjectsOf(image, choice) {
  const shown = choice.all ? image.maps : [image.maps[choice.maps]];
  const keys = choice.pinned.length === 2 ? choice.pinned : [choice.current ?? choice.pinned[0]];
  return shown.flatMap((maps) => {
    const targets = keys.map((key) => maps.targets.find((target) => keyOf(target) === key) ?? key);
    const isPair = targets.length === 2 && targets.every((target) => typeof target !== "string");
    if (choice.difference && isPair) {
      return [differenceOf(image, maps, targets, choice.against)];
    }
    return targets.map((target) =>
      typeof target === "string" ? absent(maps, target) : targetOf(image, maps, target, choice.against),
    );
  });
}

const known = new WeakMap();

/** Returns a target as it is shown, the same object each time, by which drawing knows that it has placed its map. */
function targetOf(image, maps, target, against) {
  const signed = against && maps.signed;
  const found = known.get(target) ?? known.set(target, {}).get(target);
  found[signed] ??= describeTarget(image, maps, target, signed);
  return found[signed];
}

function describeTarget(image, maps, target, signed) {
  const peak = signed ? target.signed_peak : target.peak;
  const raw = signed ? target.cells : target.cells.map((value) => Math.max(value, 0));
  const aspect = `scaled to the map’s own peak, so a bright map does not mean a probable class`;
  return {
    title: [target.name, percent(target.probability)].filter(Boolean).join(" · "),
    name: target.name,
    reading: signed
      ? `Warm colours speak for “${target.name}”, cold ones against it; ${aspect}.`
      : `The brighter, the more speaks for “${target.name}” at that place; ${aspect}.`,
    nothing: peak > 0 ? null : `Nothing in the image speaks for “${target.name}”.`,
    ...common(image, maps, raw, peak, signed),
  };
}

function differenceOf(image, maps, [one, other], against) {
  const part = (value) => (against && maps.signed ? value : Math.max(value, 0));
  const raw = one.cells.map((value, cell) => part(value) - part(other.cells[cell]));
  const peak = raw.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return {
    title: `${one.name} less ${other.name}`,
    name: `${one.name} less ${other.name}`,
    reading:
      `Warm colours speak more for “${one.name}”, cold ones more for “${other.name}”; ` +
      `the two maps are subtracted in their own units, not scaled first.`,
    nothing: peak > 0 ? null : "The two maps do not differ.",
    ...common(image, maps, raw, peak, true),
  };
}

function common(image, maps, raw, peak, signed) {
  const { rows, columns, box } = maps;
  const cells = raw.map((value) => (peak > 0 ? Math.min(Math.max(value / peak, -1), 1) : 0));
  return {
    detail: detailOf(maps),
    method: maps.method,
    map: { rows, columns, box, cells, signed, extent: image },
    raw: { rows, columns, box, cells: raw },
    low: signed ? short(-peak) : "0",
    high: short(peak),
    peak,
  };
}

function absent(maps, key) {
  const name = key.slice(key.indexOf(" ") + 1);
  const nothing = `${maps.title} was not asked about “${name}”.`;
  return { title: name, name, detail: detailOf(maps), nothing, map: null };
}

/** Returns in words what a map is of: the model, if it is known, the method, the layer, and the layer's cells. */
export function detailOf(maps) {
  const parts = [maps.model, maps.title, `layer ${maps.layer}`, `${maps.rows} × ${maps.columns}`];
  return parts.filter((part) => part !== null).join(" · ");
}

/** Says whether there is a part of the image that the model did not see. */
export function isCropped({ box, extent }) {
  return box[0] >= 0.5 || box[1] >= 0.5 || box[2] < extent.height - 0.5 || box[3] < extent.width - 0.5;
}

/** Says where on the image a map is strongest, for those who cannot see it. */
export function whereStrongest({ rows, columns, cells, box, extent }) {
  const most = cells.reduce((best, value, cell) => (Math.abs(value) > Math.abs(cells[best]) ? cell : best), 0);
  const along = (cell, count, start, stop) => start + ((cell + 0.5) / count) * (stop - start);
  const y = along(Math.floor(most / columns), rows, box[0], box[2]) / extent.height;
  const x = along(most % columns, columns, box[1], box[3]) / extent.width;
  const third = (share, words) => words[Math.min(Math.max(Math.floor(3 * share), 0), 2)];
  const words = [third(y, ["upper", "", "lower"]), third(x, ["left", "", "right"])].filter(Boolean);
  return words.length === 0 ? "in the middle" : `at the ${words.join(" ")}`;
}
