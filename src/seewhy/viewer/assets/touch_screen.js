/** How the reader points: the texts name what a mouse or a finger can do. */

/** Returns whether the reader points with a finger, which cannot hover. */
export function hasTouchScreen() {
  return matchMedia("(hover: none)").matches;
}
