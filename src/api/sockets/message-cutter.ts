/**
 * Cuts messages of a WebSocket that are too long, while their bytes arrive.
 *
 * `ws` ends the connection at such a message. A client that sends everything again that no pong confirmed would send it
 * first after each reconnection, and never get past it. So the bytes that are too many are dropped before `ws` sees them,
 * and the headers of frames say what is left. Everything else of the protocol (RFC 6455) is the business of `ws`.
 */

import type { Duplex } from "node:stream";

const continuation = 0x0;
/** Frames with this opcode or a higher one belong to no message. */
const firstControl = 0x8;
/** Two bytes, a length of eight, and a mask of four. */
const headerLengthMax = 14;
const nothing = Buffer.alloc(0);

export class MessageCutter {
  readonly #lengthMax: number;
  /** The lengths of the messages of at least `lengthMax` that were not asked for yet. */
  readonly #lengths: number[] = [];
  /** The beginning of a frame whose header has not arrived as a whole. */
  #header: Buffer = nothing;
  /** How much of the present frame is still to come: first what is passed on, then what is dropped. */
  #toPass = 0;
  #toDrop = 0;
  /** Of the present message: its length so far, and how much of that was passed on. */
  #length = 0;
  #passed = 0;
  #isOff = false;

  /** @param lengthMax longer messages are cut to this length, in bytes */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** The length of the next message that has `lengthMax` bytes now. Ask for it when that message arrives. */
  nextLength(): number {
    return this.#lengths.shift() ?? this.#lengthMax;
  }

  /** What to pass on of the next bytes of the connection. */
  pass(chunk: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#isOff) {
        parts.push(rest);
        break;
      }
      if (this.#toPass > 0) {
        const part = rest.subarray(0, this.#toPass);
        this.#toPass -= part.length;
        parts.push(part);
        rest = rest.subarray(part.length);
      } else if (this.#toDrop > 0) {
        const count = Math.min(this.#toDrop, rest.length);
        this.#toDrop -= count;
        rest = rest.subarray(count);
      } else rest = this.#readHeader(rest, parts);
    }
    const [only, ...others] = parts;
    return others.length === 0 ? (only ?? nothing) : Buffer.concat(parts);
  }

  /** Reads from a header, passes it on once it is complete, and returns what follows. */
  #readHeader(rest: Buffer, parts: Buffer[]): Buffer {
    const heldCount = this.#header.length;
    const header = Buffer.concat([this.#header, rest.subarray(0, headerLengthMax - heldCount)]);
    const found = headerOf(header);
    if (found === null) {
      this.#header = header;
      return nothing;
    }
    this.#header = nothing;
    const { length, headerLength } = found;
    const kept = this.#keptOf(found);
    this.#toPass = kept;
    this.#toDrop = length - kept;
    parts.push(
      kept === length ? header.subarray(0, headerLength) : shortened(header.subarray(0, headerLength), kept),
    );
    // The next frames cannot be found after a length that no number holds. `ws` refuses it.
    this.#isOff = !Number.isSafeInteger(length);
    return rest.subarray(headerLength - heldCount);
  }

  /** How much of a frame is passed on. */
  #keptOf({ opcode, isFinal, length }: FrameHeader): number {
    if (opcode >= firstControl || !Number.isSafeInteger(length)) return length;
    if (opcode !== continuation) {
      this.#length = 0;
      this.#passed = 0;
    }
    const kept = Math.min(length, this.#lengthMax - this.#passed);
    this.#length += length;
    this.#passed += kept;
    if (isFinal && this.#length >= this.#lengthMax) this.#lengths.push(this.#length);
    return kept;
  }
}

interface FrameHeader {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly length: number;
  readonly headerLength: number;
}

/** Reads the header of a frame; null if it is not complete. */
function headerOf(bytes: Buffer): FrameHeader | null {
  if (bytes.length < 2) return null;
  const [first = 0, second = 0] = bytes;
  const code = second & 0x7f;
  const lengthBytes = code === 127 ? 8 : code === 126 ? 2 : 0;
  const headerLength = 2 + lengthBytes + ((second & 0x80) === 0 ? 0 : 4);
  if (bytes.length < headerLength) return null;
  const length =
    lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes === 2 ? bytes.readUInt16BE(2) : code;
  return { opcode: first & 0x0f, isFinal: (first & 0x80) !== 0, length, headerLength };
}

/** The header with another length. The mask stays: it is applied from the beginning of the frame. */
function shortened(header: Buffer, length: number): Buffer {
  const [first = 0, second = 0] = header;
  const isMasked = (second & 0x80) !== 0;
  const start = Buffer.alloc(10);
  start[0] = first;
  start[1] = (second & 0x80) | 127;
  start.writeBigUInt64BE(BigInt(length), 2);
  return isMasked ? Buffer.concat([start, header.subarray(-4)]) : start;
}

/** Puts the cutter between a connection and whoever reads it. @param onBytes called for all that arrives */
export function cutMessages(connection: Duplex, cutter: MessageCutter, onBytes: () => void): void {
  const push = connection.push.bind(connection);
  connection.push = (chunk: Buffer | null, encoding) => {
    if (chunk === null) return push(null);
    onBytes();
    return push(cutter.pass(chunk), encoding);
  };
}
