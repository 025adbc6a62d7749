/** What Tripline signs, the official library of Standard Webhooks verifies, with each kind of secret. */

import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { prepareRequest } from "../../../src/delivery/http/request.ts";

const base64 = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const other = "bmV3IG9uZQ==";

test.each([
  ["with whsec_", `whsec_${base64}`, [`whsec_${base64}`]],
  ["without whsec_", base64, [base64, `whsec_${base64}`]],
  ["with the version in front", `v1,whsec_${base64}`, [base64]],
  ["two at once, for a rotation", `whsec_${base64} whsec_${other}`, [base64, other]],
  ["any text", "hush, little pump", [Buffer.from("hush, little pump").toString("base64")]],
])("a secret %s", (_what, secret, keys) => {
  const target = {
    url: "https://example.org/",
    method: "POST",
    headers: {},
    secret,
    timeout: 5,
    identity: { url: "https://example.org/" },
    hidden: [],
    limit: null,
    destination: null,
  };
  const body = { body: '{"pump":1}', contentType: "application/json" };
  const { request } = prepareRequest(target, body, "msg_1", new Date(), null);
  for (const key of keys) {
    expect(new Webhook(key).verify(body.body, { ...request.headers })).toEqual({ pump: 1 });
  }
  expect(() => new Webhook("d3Jvbmc=").verify(body.body, { ...request.headers })).toThrow();
});
