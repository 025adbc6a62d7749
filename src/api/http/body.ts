/**
 * Reads the body of a request, up to a maximum size, in any encoding that a client may use. Runs in Node and in a Worker.
 */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { jsonMistake } from "./json-mistake.ts";
import { excerpt, invalidRequest, Refusal } from "./refusal.ts";

export interface Body {
  readonly value: unknown;
  /** The size of the JSON, decompressed. */
  readonly bytes: number;
}

/** A larger body is refused. Split large batches. */
export const bodyBytesMax = 16 * 1024 * 1024;

/** A media type whose bodies are JSON. */
export const jsonType = /^application\/(?:[\w.+-]+\+)?json$/i;

/**
 * Reads a request's JSON.
 *
 * @throws Refusal 415 for another type or encoding, 413 if it is too large, 422 if it is not valid JSON
 */
export async function readJson(request: Request, bytesMax = bodyBytesMax): Promise<Body> {
  checkType(request);
  const bytes = await readBytes(request, bytesMax);
  return { value: parse(decode(bytes)), bytes: bytes.byteLength };
}

/**
 * Reads the JSON of a request whose body is optional. Without a body, the value is null.
 *
 * @throws Refusal like `readJson`
 */
export async function readOptionalJson(request: Request, bytesMax = bodyBytesMax): Promise<Body> {
  const bytes = await readBytes(request, bytesMax);
  if (bytes.byteLength === 0) return { value: null, bytes: 0 };
  checkType(request);
  return { value: parse(decode(bytes)), bytes: bytes.byteLength };
}

function checkType(request: Request): void {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim() ?? "";
  // Prefect's older clients send no type.
  if (type === "" || jsonType.test(type)) return;
  const detail = `Content-Type is ${excerpt(type)}; send application/json`;
  throw new Refusal(415, "unsupported_type", { detail });
}

/** Parses JSON. @throws Refusal 422 that says where the mistake is */
export function parseJson(bytes: Uint8Array): unknown {
  return parse(decode(bytes));
}

function parse(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    throw notJson(text);
  }
}

/**
 * Reads a request's body, decompressed.
 *
 * @throws Refusal 415 for another encoding, 413 if it is too large
 */
export async function readBytes(request: Request, bytesMax = bodyBytesMax): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax);
  // The HTTP server enforces a declared length, so no more bytes can follow.
  if (encoding === "identity" && declared !== null) return new Uint8Array(await whole(request));
  if (request.body === null) return new Uint8Array();
  switch (encoding) {
    case "identity":
      try {
        return await collect(request.body, bytesMax);
      } catch (error) {
        throw error instanceof Refusal ? error : cutShort();
      }
    case "gzip":
    case "deflate":
      try {
        return await collect(request.body.pipeThrough(new DecompressionStream(encoding)), bytesMax);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        const msg = `The body is not valid ${encoding}, although its Content-Encoding is ${encoding}`;
        throw invalidRequest([{ type: "value_error", loc: ["body"], msg, input: null }], null);
      }
    default: {
      const detail = `Content-Encoding is ${excerpt(encoding)}; send gzip, deflate or no encoding`;
      throw new Refusal(415, "unsupported_encoding", { detail });
    }
  }
}

async function whole(request: Request): Promise<ArrayBuffer> {
  try {
    return await request.arrayBuffer();
  } catch {
    throw cutShort();
  }
}

/** The client is gone or violated HTTP. That is not a failure of the server, and no one reads the answer. */
function cutShort(): Refusal {
  return new Refusal(400, "cut_short", { detail: "The body ended before it was complete" });
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.byteLength;
    if (length > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const msg = "The body is not valid UTF-8";
    throw invalidRequest([{ type: "value_error", loc: ["body"], msg, input: null }], null);
  }
}

function notJson(text: string): Refusal {
  const mistake = jsonMistake(text);
  const around =
    mistake === null ? "" : text.slice(Math.max(0, mistake.position - 20), mistake.position + 20);
  const msg =
    mistake === null
      ? "JSON decode error"
      : `JSON decode error at line ${mistake.line}, column ${mistake.column}: expected ${mistake.expected}`;
  const loc = mistake === null ? ["body"] : ["body", mistake.position];
  return invalidRequest([{ type: "json_invalid", loc, msg, input: around }], text);
}

function tooLarge(bytesMax: number): Refusal {
  const detail = `The body is larger than ${bytesMax} bytes; split it into smaller batches`;
  return new Refusal(413, "too_large", { detail });
}
