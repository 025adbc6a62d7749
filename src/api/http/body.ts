/**
 * Reads the body of a request, up to a maximum size, in any encoding that a client may use. Runs in Node and in a Worker.
 */

import {
  eventBytesMax,
  requestBytesMax,
  requestDepthMax,
  requestValuesMax,
} from "../../core/model/limits.ts";
import { jsonMistakeInSlices } from "./json-mistake.ts";
import { type JsonBounds, JsonTooComplex, parseInSlices } from "./parse-json.ts";
import { excerpt, invalidRequest, Refusal } from "./refusal.ts";

export interface Body {
  readonly value: unknown;
  /** The size of the JSON, decompressed. */
  readonly bytes: number;
}

/** A larger body is refused. Split large batches. */
export const bodyBytesMax = 16 * 1024 * 1024;

/** What a body of JSON may hold, so that everything that is done with it takes little time. */
export interface JsonLimits extends JsonBounds {
  readonly bytesMax: number;
}

/** For most requests. Far more than a person writes, and little enough that checking it takes a few milliseconds. */
export const requestLimits: JsonLimits = {
  bytesMax: requestBytesMax,
  depthMax: requestDepthMax,
  valuesMax: requestValuesMax,
};

/** For events and the data of other services, whose every part is looked at in slices. */
export const dataLimits: JsonLimits = {
  bytesMax: bodyBytesMax,
  depthMax: 1_000,
  valuesMax: 10_000_000,
  // An event of the largest size, if every second byte of it were written as an escape.
  itemLengthMax: 3 * eventBytesMax,
};

/** For lists of events, of which one that is too complex harms only itself: a `JsonTooComplex` takes its place. */
export const batchLimits: JsonLimits = { ...dataLimits, sparesOthers: true };

/** A media type whose bodies are JSON. */
export const jsonType = /^application\/(?:[\w.+-]+\+)?json$/i;

/**
 * Reads a request's JSON.
 *
 * @throws Refusal 415 for another type or encoding, 413 if it is too large, 422 if it is not valid JSON
 */
export async function readJson(request: Request, limits = dataLimits): Promise<Body> {
  const bytes = await readJsonBytes(request, limits);
  return { value: await parseJson(bytes, limits), bytes: bytes.byteLength };
}

/**
 * Reads the text of a request's JSON.
 *
 * @throws Refusal 415 for another type or encoding, 413 if it is too large
 */
export async function readJsonBytes(request: Request, limits = dataLimits): Promise<Uint8Array<ArrayBuffer>> {
  checkType(request);
  return readBytes(request, limits.bytesMax);
}

/**
 * Reads the JSON of a request whose body is optional. Without a body, the value is null.
 *
 * @throws Refusal like `readJson`
 */
export async function readOptionalJson(request: Request, limits = dataLimits): Promise<Body> {
  const bytes = await readBytes(request, limits.bytesMax);
  if (bytes.byteLength === 0) return { value: null, bytes: 0 };
  checkType(request);
  return { value: await parseJson(bytes, limits), bytes: bytes.byteLength };
}

function checkType(request: Request): void {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim() ?? "";
  // Prefect's older clients send no type.
  if (type === "" || jsonType.test(type)) return;
  const detail = `Content-Type is ${excerpt(type)}; send application/json`;
  throw new Refusal(415, "unsupported_type", { detail });
}

/** Parses JSON. @throws Refusal 422 that says where the mistake is */
export async function parseJson(bytes: Uint8Array, bounds: JsonBounds = dataLimits): Promise<unknown> {
  const text = decode(bytes);
  try {
    return await parseInSlices(text, bounds);
  } catch (error) {
    if (error instanceof SyntaxError) throw await notJson(text);
    if (!(error instanceof JsonTooComplex)) throw error;
    const { type, message: msg, index } = error;
    const loc = index === null ? ["body"] : ["body", index];
    const refusal = invalidRequest([{ type, loc, msg, input: null }], null);
    throw index === null || type === "too_deep" ? refusal : new Refusal(413, "too_large", refusal.body);
  }
}

/**
 * Reads a request's body, decompressed.
 *
 * @param take called before each part is kept; what it throws ends the reading
 * @throws Refusal 415 for another encoding, 413 if it is too large
 */
export async function readBytes(
  request: Request,
  bytesMax = bodyBytesMax,
  take: (byteCount: number) => void = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax);
  // The HTTP server enforces a declared length, so no more bytes can follow. Joining the parts of a long body takes long.
  if (encoding === "identity" && declared !== null && Number(declared) <= joinedBytesMax) {
    take(Number(declared));
    return new Uint8Array(await whole(request));
  }
  if (request.body === null) return new Uint8Array();
  switch (encoding) {
    case "identity":
      try {
        return await collect(request.body, bytesMax, take);
      } catch (error) {
        throw error instanceof Refusal ? error : cutShort();
      }
    case "gzip":
    case "deflate":
      try {
        return await collect(request.body.pipeThrough(new DecompressionStream(encoding)), bytesMax, take);
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

/** No job prints more than this. Reading stops there. */
const endReadMax = 256 * 1024 * 1024;

/**
 * Reads the end of a request's body, decompressed, for a request that counts whatever its body is. A body that cannot be
 * decompressed is read as far as possible.
 *
 * @param lengthMax how many bytes to return at most
 * @throws Refusal 400 if the client does not send all of it
 */
export async function readEnd(request: Request, lengthMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  const isCompressed = encoding === "gzip" || encoding === "deflate";
  if (request.body === null || !(isCompressed || encoding === "identity")) return new Uint8Array();
  const stream = isCompressed ? request.body.pipeThrough(new DecompressionStream(encoding)) : request.body;
  let end = new Uint8Array();
  let readCount = 0;
  try {
    for await (const chunk of stream) {
      readCount += chunk.byteLength;
      const joined = new Uint8Array(end.byteLength + chunk.byteLength);
      joined.set(end);
      joined.set(chunk, end.byteLength);
      end = joined.slice(-lengthMax);
      if (readCount > endReadMax) break;
    }
  } catch {
    if (!isCompressed) throw cutShort();
  }
  return end;
}

/** Shorter bodies are joined by the platform, which is faster. */
const joinedBytesMax = 1024 * 1024;

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
  take: (byteCount: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.byteLength;
    if (length > bytesMax) throw tooLarge(bytesMax);
    take(chunk.byteLength);
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

async function notJson(text: string): Promise<Refusal> {
  const mistake = await jsonMistakeInSlices(text);
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
