/** The cutter against frames made and read by hand, in chunks of any size. */

import { describe, expect, test } from "vitest";
import { MessageCutter } from "../../../src/api/sockets/message-cutter.ts";
import fc from "../../support/fast-check.ts";

interface Frame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: Buffer;
}

const mask = Buffer.from([1, 2, 3, 4]);
const masked = (payload: Buffer) => Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));

function encoded({ opcode, isFinal, payload }: Frame, isMasked: boolean): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = opcode | (isFinal ? 0x80 : 0);
  head[1] = (length < 126 ? length : length < 65_536 ? 126 : 127) | (isMasked ? 0x80 : 0);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return isMasked ? Buffer.concat([head, mask, masked(payload)]) : Buffer.concat([head, payload]);
}

function decoded(bytes: Buffer, isMasked: boolean): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const code = (bytes[at + 1] ?? 0) & 0x7f;
    const size = code < 126 ? 0 : code === 126 ? 2 : 8;
    const length =
      size === 0 ? code : size === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    const start = at + 2 + size + (isMasked ? 4 : 0);
    const payload = bytes.subarray(start, start + length);
    expect(payload.length).toBe(length);
    const [first = 0] = [bytes[at]];
    const plain = isMasked ? masked(payload) : payload;
    frames.push({ opcode: first & 0x0f, isFinal: (first & 0x80) !== 0, payload: Buffer.from(plain) });
    at = start + length;
  }
  return frames;
}

/** The messages of frames, and the control frames on their own. */
function messagesOf(frames: readonly Frame[]): { opcode: number; payload: string }[] {
  const messages: { opcode: number; payload: string }[] = [];
  let parts: Buffer[] = [];
  let kind = 0;
  for (const { opcode, isFinal, payload } of frames) {
    if (opcode >= 8) messages.push({ opcode, payload: payload.toString("hex") });
    else {
      if (opcode !== 0) kind = opcode;
      parts.push(payload);
      if (!isFinal) continue;
      messages.push({ opcode: kind, payload: Buffer.concat(parts).toString("hex") });
      parts = [];
    }
  }
  return messages;
}

const lengthMax = 300;
const fragment = fc.uint8Array({ maxLength: 250 }).map((bytes) => Buffer.from(bytes));
const long = fc
  .constantFrom(lengthMax - 1, lengthMax, lengthMax + 1, 70_000)
  .map((size) => Buffer.alloc(size, 7));
const ping = fc
  .uint8Array({ maxLength: 125 })
  .map((bytes) => ({ opcode: 9, isFinal: true, payload: Buffer.from(bytes) }));
const message = fc
  .tuple(
    fc.constantFrom(1, 2),
    fc.array(fc.tuple(fc.oneof(fragment, long), fc.option(ping)), { minLength: 1, maxLength: 6 }),
  )
  .map(([opcode, fragments]) =>
    fragments.flatMap(([payload, between], at): Frame[] => [
      { opcode: at === 0 ? opcode : 0, isFinal: at === fragments.length - 1, payload },
      ...(between === null ? [] : [between]),
    ]),
  );

describe("the cutter", () => {
  test("cuts what is too long, in any frames and chunks, and passes on everything else", () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(100_000)), { minLength: 1 }),
        fc.boolean(),
        (messages, sizes, isMasked) => {
          const frames = messages.flat();
          const wire = Buffer.concat(frames.map((frame) => encoded(frame, isMasked)));
          const cutter = new MessageCutter(lengthMax);
          const passed: Buffer[] = [];
          for (let at = 0, turn = 0; at < wire.length; turn++) {
            const size = sizes[turn % sizes.length] ?? 1;
            passed.push(Buffer.from(cutter.pass(wire.subarray(at, at + size))));
            at += size;
          }
          const sent = messagesOf(frames);
          const arrived = messagesOf(decoded(Buffer.concat(passed), isMasked));
          expect(arrived).toEqual(
            sent.map(({ opcode, payload }) => ({
              opcode,
              payload: opcode >= 8 ? payload : payload.slice(0, 2 * lengthMax),
            })),
          );
          for (const [at, { opcode, payload }] of arrived.entries()) {
            if (opcode >= 8 || payload.length < 2 * lengthMax) continue;
            expect(cutter.nextLength()).toBe((sent[at]?.payload.length ?? 0) / 2);
          }
        },
      ),
    );
  });

  test("leaves it to the protocol to refuse a length that no number holds", () => {
    const cutter = new MessageCutter(lengthMax);
    const frame = Buffer.from([0x81, 0x7f, ...Array(8).fill(0xff), 1, 2, 3]);
    expect(cutter.pass(frame)).toEqual(frame);
    expect(cutter.pass(Buffer.from("more"))).toEqual(Buffer.from("more"));
  });
});
