/** Numbers: out of base64, and into words. */

/** Returns the bytes that base64 stands for. */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Returns the little-endian float32 that base64 stands for. */
export function floatsOf(base64) {
  const view = new DataView(bytesOf(base64).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, position) => view.getFloat32(4 * position, true));
}

/** Returns a probability as it is read: "38.5 %". */
export function percent(probability) {
  if (probability === null || probability === undefined) {
    return "";
  }
  return probability > 0 && probability < 0.001 ? "< 0.1 %" : `${(100 * probability).toFixed(1)} %`;
}

/** Returns a value with three digits that count. */
export function short(value) {
  const size = Math.abs(value);
  const isPlain = value === 0 || (size >= 0.01 && size < 10000);
  const digits = isPlain ? Number(size.toPrecision(3)).toString() : size.toExponential(2);
  return value < 0 ? `−${digits}` : digits;
}
