import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  SecretBox,
  SecretKeyInvalid,
  type SecretPlace,
  SecretUnreadable,
} from "../../src/store/secret-box.ts";
import fc from "../support/fast-check.ts";

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const anyText = fc.string({ unit: "grapheme", maxLength: 200 }).map((text) => text.toWellFormed());
const anyPlace: fc.Arbitrary<SecretPlace> = fc.record({
  workspace: fc.constantFrom("default", "north"),
  kind: fc.constantFrom("automation", "destination", "hook", "workspace"),
  owner: fc.string({ maxLength: 5 }),
  name: fc.string({ maxLength: 5 }),
});
const boxOf = (...keys: readonly Buffer[]) =>
  SecretBox.of(keys.map((key) => key.toString("base64")).join(", "));

describe("a sealed secret", () => {
  test("opens with its key, among others, and at its place", () => {
    fc.assert(
      fc.property(anyKey, anyKey, anyText, anyPlace, (key, newer, text, place) => {
        const sealed = boxOf(key).seal(text, place);
        expect(sealed).toMatch(/^enc:1:[0-9a-f]{8}:[\w-]+$/);
        expect(boxOf(newer, key).open(sealed, place)).toBe(text);
        expect(SecretBox.of(key.toString("hex")).open(sealed, place)).toBe(text);
      }),
    );
  });

  test("does not open with another key, at another place, or after any change", () => {
    fc.assert(
      fc.property(
        anyKey,
        anyKey,
        anyText,
        anyPlace,
        anyPlace,
        fc.nat(),
        (key, other, text, place, elsewhere, at) => {
          fc.pre(!key.equals(other) && JSON.stringify(place) !== JSON.stringify(elsewhere));
          const box = boxOf(key);
          const sealed = box.seal(text, place);
          expect(() => boxOf(other).open(sealed, place)).toThrow(SecretUnreadable);
          expect(() => box.open(sealed, elsewhere)).toThrow(SecretUnreadable);
          const head = sealed.slice(0, sealed.lastIndexOf(":") + 1);
          const bytes = Buffer.from(sealed.slice(head.length), "base64url");
          bytes[at % bytes.length]! ^= 1;
          expect(() => box.open(head + bytes.toString("base64url"), place)).toThrow(SecretUnreadable);
        },
      ),
    );
  });

  // A stored secret whose key is missing is listed and written back. Sealed again, no key would ever open it.
  test("stays as it is when it is read without its key, and written", () => {
    fc.assert(
      fc.property(anyKey, anyKey, anyText, anyPlace, (key, other, text, place) => {
        fc.pre(!key.equals(other));
        const sealed = boxOf(key).seal(text, place);
        for (const box of [boxOf(other), SecretBox.of()]) {
          expect(box.seal(box.openIfReadable(sealed, place), place)).toBe(sealed);
        }
        expect(boxOf(key).seal(sealed, place)).toBe(sealed);
      }),
    );
  });

  test("is never the same twice", () => {
    const [box, place] = [
      boxOf(randomBytes(32)),
      { workspace: "w", kind: "hook", owner: "h", name: "s" } as const,
    ];
    expect(new Set(Array.from({ length: 100 }, () => box.seal("same", place))).size).toBe(100);
  });
});

test("resealing moves a secret to the first key, so that the old one can go", () => {
  fc.assert(
    fc.property(anyKey, anyKey, anyText, anyPlace, (old, newer, text, place) => {
      fc.pre(!old.equals(newer));
      const both = boxOf(newer, old);
      for (const stored of [text, boxOf(old).seal(text, place)]) {
        const resealed = both.reseal(stored, place);
        expect(both.stateOf(resealed, place)).toBe("current");
        expect(boxOf(newer).open(resealed, place)).toBe(text);
        expect(both.reseal(resealed, place)).toBe(resealed);
      }
    }),
  );
});

test("without a key, texts are stored as they are", () => {
  fc.assert(
    fc.property(anyText, anyPlace, (text, place) => {
      expect(SecretBox.of().seal(text, place)).toBe(text);
      expect(SecretBox.of(" , \n").open(text, place)).toBe(text);
    }),
  );
});

test("a missing key is named by its id and its variable", () => {
  const [key, other] = [boxOf(randomBytes(32)), boxOf(randomBytes(32))];
  const place = { workspace: "w", kind: "hook", owner: "h", name: "s" } as const;
  const sealed = key.seal("text", place);
  const named = new RegExp(`with the key ${key.keyIds[0]}, but TRIPLINE_SECRET_KEY`);
  expect(() => other.open(sealed, place)).toThrow(named);
  expect(() => SecretBox.of().open(sealed, place)).toThrow("TRIPLINE_SECRET_KEY is not set");
});

test.each(["password", "a".repeat(63), "a".repeat(65), randomBytes(16).toString("base64"), "ä".repeat(32)])(
  "%s is not a key, and the error says how to make one without repeating it",
  (text) => {
    const attempt = () => SecretBox.of(text);
    expect(attempt).toThrow(SecretKeyInvalid);
    expect(attempt).toThrow("openssl rand -base64 32");
    expect(attempt).not.toThrow(text);
  },
);
