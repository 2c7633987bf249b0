/** What the build put into the page: bytes in base64, packed with gzip. */

/**
 * @param {string} id of the element that holds them
 * @returns {Promise<Uint8Array>}
 */
export async function embedded(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent.trim());
  element.remove();
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Several files in one: a line of JSON with their names and lengths, then their bytes.
 * @param {Uint8Array} bytes
 * @returns {Record<string, Uint8Array>}
 */
export function unpackFiles(bytes) {
  const line = bytes.indexOf(10);
  const files = {};
  let at = line + 1;
  for (const [name, length] of JSON.parse(new TextDecoder().decode(bytes.subarray(0, line)))) {
    files[name] = bytes.subarray(at, at + length);
    at += length;
  }
  return files;
}
