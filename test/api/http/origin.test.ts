/** Which requests count as sent by a page of another site. auth.test.ts and cors.test.ts test the same over HTTP. */

import { expect, test } from "vitest";
import { originProblem } from "../../../src/api/http/cors.ts";
import { checkFromHere, checkNotCrossSite, isLoopbackName } from "../../../src/api/http/origin.ts";
import { Refusal } from "../../../src/api/http/refusal.ts";

const none: ReadonlySet<string> = new Set();

/** The reason for which a check refuses a request; null if it accepts it. */
function refusalOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    const { status, body } = error as Refusal;
    expect(status).toBe(403);
    return (body as { detail: string }).detail;
  }
}

const fromHere = (headers: Record<string, string>, changesState = true) =>
  refusalOf(() => checkFromHere(new Headers(headers), changesState, none));

test.each([
  "localhost",
  "LOCALHOST",
  "localhost.",
  "pumps.localhost",
  "127.0.0.1",
  "127.9.9.9",
  "::1",
  "[::1]",
])("%s stands for this machine", (name) => expect(isLoopbackName(name)).toBe(true));

// A page can give any of these names the address 127.0.0.1, and then read the answers as its own (DNS rebinding).
test.each([
  ...["evil.example", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example"],
  ...["evil.127.0.0.1", "10.0.0.1", "0.0.0.0", "[::2]", "not a name"],
])("%s does not", (name) => {
  expect(isLoopbackName(name)).toBe(false);
  expect(fromHere({ host: `${name}:4200` }, false)).toMatch(/only to names of this machine/);
});

test("without keys, a request without a Host is accepted: no browser sent it", () => {
  expect(fromHere({})).toBeNull();
});

test("without keys, a page of this server may change something, and another page may only read", () => {
  expect(fromHere({ host: "localhost:4200", origin: "http://localhost:4200" })).toBeNull();
  expect(fromHere({ host: "localhost:4200", origin: "https://evil.example" }, false)).toBeNull();
  expect(fromHere({ host: "localhost:4200", origin: "https://evil.example" })).toMatch(/evil\.example/);
});

test("with keys, a page of another site may read, which takes a key, but change nothing", () => {
  const headers = new Headers({ "sec-fetch-site": "cross-site" });
  expect(refusalOf(() => checkNotCrossSite(headers, false, none))).toBeNull();
  expect(refusalOf(() => checkNotCrossSite(headers, true, none))).toMatch(/another site/);
});

test.each([
  ["host", { host: `${"x".repeat(5_000)}.example` }],
  ["origin", { host: "localhost", origin: `https://${"x".repeat(5_000)}.example` }],
])("a refusal repeats at most 200 characters of a long %s", (_header, headers) => {
  const reason = fromHere(headers);
  expect(reason).toContain("x".repeat(150));
  expect(reason).not.toContain("x".repeat(201));
});

test.each([
  ["https://app.example.org", true],
  ["http://localhost:5173", true],
  ["https://app.example.org/", false],
  ["https://app.example.org/page", false],
  ["ftp://app.example.org", false],
  ["app.example.org", false],
  ["*", false],
  ["null", false],
])("%s is the origin of a web page: %s", (text, isOrigin) => {
  expect(originProblem(text) === null).toBe(isOrigin);
});
