/** Bytes as base64, in Node and in a Worker alike. */

/** How many bytes are spread into one call; engines limit the number of arguments. */
const chunkLength = 8_192;

export function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += chunkLength) {
    text += String.fromCharCode(...bytes.subarray(start, start + chunkLength));
  }
  return btoa(text);
}
