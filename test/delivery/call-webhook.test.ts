import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { retryAfterMs } from "../../src/delivery/http/send-request.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, pumpEvent, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** Delivers one action and waits for its outcome. */
async function deliver(
  action: unknown,
  given: Parameters<typeof invocationOf>[1] = {},
  settings: Parameters<ReturnType<typeof startActions>["work"]>[0] = {},
) {
  const actions = startActions(redis.url);
  const invocation = invocationOf(action, given);
  actions.work(settings);
  await actions.queue.addInvocations([invocation]);
  return { actions, invocation, outcome: await actions.outcome(invocation) };
}

describe("a request", () => {
  test("contains the firing as JSON if there is no payload, and is signed as Standard Webhooks specifies", async () => {
    const receiver = await startReceiver();
    const secret = "${env.SIGNING}";
    const given = { secrets: { SIGNING: "any text will do" } };
    const { invocation, outcome } = await deliver(webhook(receiver.url, { secret }), given);

    const [request] = receiver.received;
    const { automation, firing } = invocation;
    expect(JSON.parse(request!.body)).toEqual({
      automation,
      event: firing.triggering_event,
      labels: { zone: "north" },
      firing,
    });
    expect(request!.method).toBe("POST");
    expect(request!.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": invocation.id,
    });
    expect(request!.headers["user-agent"]).toMatch(/^Tripline\/\d/);
    expect(request!.headers).not.toHaveProperty("authorization");
    const verifier = new Webhook(Buffer.from("any text will do").toString("base64"));
    verifier.verify(request!.body, request!.headers as Record<string, string>);
    expect(outcome.event).toBe("prefect-cloud.automation.action.executed");
    expect(outcome.payload).toMatchObject({ status_code: 200, attempts: 1, url: receiver.url });
    expect(outcome.payload["duration_ms"]).toEqual(expect.any(Number));
  });

  test("is signed with the bytes of a whsec_ secret, and unsigned without a secret", async () => {
    const receiver = await startReceiver();
    const secret = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
    await deliver(webhook(receiver.url, { secret }));
    await deliver(webhook(receiver.url));
    const [signed, unsigned] = receiver.received;
    new Webhook(secret).verify(signed!.body, signed!.headers as Record<string, string>);
    expect(unsigned!.headers["webhook-signature"]).toBeUndefined();
  });

  test.each([
    [
      '{"pump": {{ event.resource["prefect.resource.id"] | tojson }}}',
      '{"pump": "greenhouse.pump.1"}',
      "application/json",
    ],
    ["{{ event.event }} in {{ labels.zone }}", "pump.stopped in north", "text/plain; charset=utf-8"],
    [
      { pump: ["{{ event.event }}", 7, null], deep: { zone: "{{ labels.zone }}" } },
      '{"pump":["pump.stopped",7,null],"deep":{"zone":"north"}}',
      "application/json",
    ],
  ])("with the payload %j has the body %s", async (payload, body, type) => {
    const receiver = await startReceiver();
    await deliver(webhook(receiver.url, { payload }));
    expect(receiver.received[0]).toMatchObject({ body, headers: { "content-type": type } });
  });

  test("has the rendered URL, headers and method of the action", async () => {
    const receiver = await startReceiver();
    const headers = {
      "X-Zone": "{{ labels.zone }}",
      "Content-Type": "text/x-pump",
      Authorization: "Bearer ${env.TOKEN}",
    };
    const url = `${receiver.url}/{{ labels.zone | urlencode }}?from=tripline`;
    await deliver(webhook(url, { method: "PUT", headers, payload: "on" }), { secrets: { TOKEN: "t0k3n" } });
    expect(receiver.received[0]).toMatchObject({
      method: "PUT",
      path: "/hook/north?from=tripline",
      headers: { "x-zone": "north", "content-type": "text/x-pump", authorization: "Bearer t0k3n" },
    });
  });

  test("carries credentials from the URL in its Authorization header, and neither they nor the secret are shown", async () => {
    const receiver = await startReceiver((response, { headers }) => {
      response.writeHead(400).end(`not you, ${headers.authorization} p@ss-word, with a-signing-key`);
    });
    const url = `http://gardener:p%40ss-word@127.0.0.1:${receiver.port}/hook`;
    const { outcome, actions } = await deliver(webhook(url, { secret: "a-signing-key" }));
    const basic = Buffer.from("gardener:p@ss-word").toString("base64");
    expect(receiver.received[0]?.headers.authorization).toBe(`Basic ${basic}`);
    const output = JSON.stringify([outcome, actions.logger.lines]);
    expect(output).toContain("not you, Basic …");
    for (const secret of [basic, "ss-word", "a-signing-key"]) expect(output).not.toContain(secret);
  });

  test.each([
    ["gardener@", "gardener:"],
    [":p%40ss@", ":p@ss"],
  ])("carries half of the credentials if the URL has only half: %s", async (part, credentials) => {
    const receiver = await startReceiver();
    await deliver(webhook(`http://${part}127.0.0.1:${receiver.port}/hook`));
    const basic = Buffer.from(credentials).toString("base64");
    expect(receiver.received[0]?.headers.authorization).toBe(`Basic ${basic}`);
  });

  test("carries the trace of the event behind the firing, unless a header replaces it", async () => {
    const receiver = await startReceiver();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const event = { ...pumpEvent(), trace: `${traceparent} vendor=a` };
    const { actions, invocation } = await deliver(webhook(receiver.url), { event });
    await deliver(webhook(receiver.url, { headers: { Traceparent: "mine", tracestate: "" } }), { event });
    await deliver(webhook(receiver.url));
    expect(receiver.received.map(({ headers }) => [headers["traceparent"], headers["tracestate"]])).toEqual([
      [traceparent, "vendor=a"],
      ["mine", ""],
      [undefined, undefined],
    ]);
    // What follows from the delivery belongs to the same trace.
    const entries = await actions.log.read("0-0", { count: 10 });
    expect(entries.map((entry) => entry.kind === "event" && entry.event.trace)).toEqual(
      Array(2).fill(invocation.trace),
    );
  });

  test("with GET has no body unless a payload is given", async () => {
    const receiver = await startReceiver();
    await deliver(webhook(receiver.url, { method: "GET" }));
    await deliver(webhook(receiver.url, { method: "GET", payload: "on" }));
    expect(receiver.received[0]).toMatchObject({ method: "GET", body: "" });
    expect(receiver.received[0]?.headers["content-type"]).toBeUndefined();
    expect(receiver.received[1]).toMatchObject({ method: "GET", body: "on" });
  });
});

describe("a response", () => {
  test("that reports a temporary failure leads to a retry with the same webhook-id", async () => {
    const receiver = await startReceiver((response, _request, index) => {
      if (index === 1) return void response.destroy();
      response.writeHead(index === 0 ? 503 : 204).end();
    });
    const { invocation, outcome, actions } = await deliver(webhook(receiver.url, { secret: "greenhouse" }));
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual(
      Array(3).fill(invocation.id),
    );
    for (const { body, headers } of receiver.received) {
      new Webhook(Buffer.from("greenhouse").toString("base64")).verify(
        body,
        headers as Record<string, string>,
      );
    }
    expect(outcome.payload).toMatchObject({ status_code: 204, attempts: 3 });
    const kinds = (await actions.events()).map(({ event }) => event.split(".").at(-1));
    expect(kinds).toEqual(["triggered", "executed"]);
  });

  // A 404 may be a deployment, a 401 a key that is being changed, a redirect a maintenance page.
  test.each([300, 302, 400, 401, 403, 404, 405, 408, 409, 418, 422, 425, 429, 451, 499, 500, 501, 502, 505])(
    "with status %i is retried until the attempts are used up",
    async (status) => {
      const receiver = await startReceiver((response) => void response.writeHead(status).end("busy"));
      const { outcome, actions, invocation } = await deliver(webhook(receiver.url));
      expect(receiver.received).toHaveLength(3);
      expect(outcome.event).toBe("prefect-cloud.automation.action.failed");
      expect(outcome.payload).toMatchObject({
        reason: expect.stringContaining(`responded ${status}`),
        attempts: 3,
        status_code: status,
      });
      await expect
        .poll(() => actions.queue.delivery(invocation.id))
        .toMatchObject({
          reason: expect.stringContaining(`responded ${status}`),
          attempts: [{ status_code: status }, { status_code: status }, { status_code: status }],
        });
    },
  );

  test.each([
    [410, undefined],
    [410, [404]],
    [404, [404]],
    [422, ["4xx", 502]],
    [302, ["3xx"]],
  ])("with status %i is final if the action gives up on %j", async (status, give_up_on) => {
    const receiver = await startReceiver((response) => void response.writeHead(status).end());
    const { outcome } = await deliver(webhook(receiver.url, { retry: { attempts: 3, give_up_on } }));
    expect(receiver.received).toHaveLength(1);
    expect(outcome.payload["reason"]).toContain(`responded ${status}`);
    expect(outcome.payload["attempts"]).toBe(1);
  });

  test.each([300, 301, 302, 307, 308])(
    "with status %i is a failure, and its redirect is not followed",
    async (status) => {
      const target = await startReceiver();
      const receiver = await startReceiver(
        (response) => void response.writeHead(status, { location: target.url }).end(),
      );
      const { outcome } = await deliver(webhook(receiver.url));
      expect(outcome.payload["reason"]).toContain(`a redirect to ${target.url}. Redirects are not followed`);
      expect([receiver.received.length, target.received.length]).toEqual([3, 0]);
    },
  );

  test.each([429, 500])("with status %i and Retry-After delays the next attempt", async (status) => {
    const receiver = await startReceiver((response, _request, index) => {
      if (index === 0) response.writeHead(status, { "retry-after": "1" });
      response.end();
    });
    await deliver(webhook(receiver.url));
    const [first, second] = receiver.received;
    expect(second!.receivedMs - first!.receivedMs).toBeGreaterThanOrEqual(1_000);
  });

  test.each([
    ["120", 120_000],
    ["Sun, 01 Mar 2026 12:00:30 GMT", 30_000],
    ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
    ["999999999", 3_600_000],
    ["1.5", 1_500],
    ["-5", null],
    ["1e9", null],
    ["", null],
    ["soon", null],
    [undefined, null],
  ])("with Retry-After: %s asks for a delay of %s ms", (text, expected) => {
    expect(retryAfterMs({ headers: { "retry-after": text } }, Date.parse("2026-03-01T12:00:00Z"))).toBe(
      expected,
    );
  });
});

describe("an attempt", () => {
  test.each([
    ["never answers", () => {}],
    [
      "never ends its answer",
      (response: import("node:http").ServerResponse) => void response.writeHead(200).write("a"),
    ],
  ])("times out if its endpoint %s", async (_, answer) => {
    const receiver = await startReceiver(answer);
    const { outcome } = await deliver(webhook(receiver.url, { timeout: 0.2, retry: { attempts: 1 } }));
    expect(outcome.payload).toMatchObject({ reason: "timed out: no complete response within 200 ms" });
  });

  test("reads only the start of a large response", async () => {
    const receiver = await startReceiver((response) => {
      response.writeHead(400);
      const more = () => {
        while (response.write("x".repeat(65_536)));
      };
      response.on("drain", more);
      more();
    });
    const { outcome } = await deliver(webhook(receiver.url));
    expect(String(outcome.payload["reason"])).toHaveLength("responded 400: ".length + 500);
  });
});

describe("the URL of a webhook", () => {
  const refusing = { dangerouslyAllowPrivateAddresses: false };

  /** Counts connections, even those without a request. */
  async function startCounter(host: string) {
    let count = 0;
    const server = createServer((socket) => {
      count += 1;
      socket.destroy();
    });
    server.listen(0, host);
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    return { port: typeof address === "object" ? address!.port : 0, count: () => count };
  }

  test.each([
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
  ])("is refused before connecting if its address is private: http://%s", async (host) => {
    const counter = await startCounter("::");
    const { outcome } = await deliver(webhook(`http://${host}:${counter.port}/`), {}, refusing);
    expect(outcome.event).toBe("prefect-cloud.automation.action.failed");
    expect(outcome.payload["reason"]).toMatch(
      /is not a public address. If you trust it, allow it with --allow-private-addresses/,
    );
    expect(outcome.payload["attempts"]).toBe(3); // the server may be restarted with other settings
    expect(counter.count()).toBe(0);
  });

  test("may name a host at an allowed address", async () => {
    const { address } = await lookup("localhost");
    const receiver = await startReceiver(undefined, address);
    const { outcome } = await deliver(webhook(`http://localhost:${receiver.port}/`));
    expect(outcome.payload).toMatchObject({ status_code: 200 });
  });

  test("must begin with http or https", async () => {
    const { outcome } = await deliver(webhook("file:///etc/passwd"));
    expect(outcome.payload["reason"]).toBe(
      "the url file:///etc/passwd should be an address that begins with http:// or https://",
    );
  });
});

describe("a webhook that cannot be sent", () => {
  test.each([
    [{ url: "http://{{ event.payload.note / 2 }}" }, "the template of the url failed: / cannot be applied"],
    [{ url: "${env.MISSING}" }, "the template of the url failed: ${env.MISSING} has no value"],
    [{ secret: "${env.BAD}" }, "the secret begins with whsec_"],
    [
      { url: "{{ event.payload.pressure }} bar" },
      "the url {{ event.payload.pressure }} bar should be an address",
    ],
  ])("fails at once with the reason: %j", async (fields, reason) => {
    const receiver = await startReceiver();
    const event = pumpEvent({ payload: { pressure: 1, note: "line\r\nx-evil: yes" } });
    const secrets = { BAD: "whsec_!" };
    const { outcome } = await deliver(webhook(receiver.url, fields), { event, secrets });
    expect(outcome.payload["reason"]).toContain(reason);
    expect(outcome.payload["attempts"]).toBe(1);
    expect(receiver.received).toEqual([]);
  });
});
