/** Decodes numbers from base64, and formats them for display. */

/** Returns the bytes that are encoded as base64. */
export function bytesFromBase64(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Returns the little-endian float32 values that are encoded as base64. */
export function floatsFromBase64(base64) {
  const view = new DataView(bytesFromBase64(base64).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, position) => view.getFloat32(4 * position, true));
}

/** Formats a probability: "38.5%". */
export function formatPercent(probability) {
  if (probability === null || probability === undefined) {
    return "";
  }
  return probability > 0 && probability < 0.001 ? "<\u00a00.1%" : `${(100 * probability).toFixed(1)}%`;
}

/** Formats a value with three significant digits. */
export function formatValue(value) {
  const size = Math.abs(value);
  const isPlain = value === 0 || (size >= 0.01 && size < 10000);
  const digits = isPlain ? Number(size.toPrecision(3)).toString() : size.toExponential(2);
  return value < 0 ? `−${digits}` : digits;
}
