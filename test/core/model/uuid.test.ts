import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { uuid5 } from "../../../src/core/model/uuid.ts";
import fc from "../../support/fast-check.ts";

test("derived ids are UUIDs of version 5 as in RFC 9562, for any text", () => {
  expect(uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")).toBe(
    "2ed6657d-e927-568b-95e1-2665a8aea6a2",
  );
  fc.assert(
    fc.property(fc.uuid(), fc.string({ unit: "binary", maxLength: 200 }), (namespace, name) => {
      const hash = createHash("sha1")
        .update(Buffer.from(namespace.replaceAll("-", ""), "hex"))
        .update(name, "utf8")
        .digest();
      hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
      hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
      expect(uuid5(namespace, name).replaceAll("-", "")).toBe(hash.toString("hex").slice(0, 32));
    }),
  );
});
