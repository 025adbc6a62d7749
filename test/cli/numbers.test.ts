/** Numbers that a double cannot hold, from every way in to every way out of a real server. */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
import { ExactNumber, type ReceivedEvent, Tripline, type WebSocketMaker } from "../../src/client/index.ts";
import { answer, type MisbehavingServer, misbehavingServer } from "../client/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox, type Server } from "./support.ts";

const WebSocket = NodeWebSocket as unknown as WebSocketMaker;
const sandbox = new Sandbox();
let redis: TestRedis;
let receiver: MisbehavingServer;
let server: Server;

const rules = (url: string) => `
hooks:
  - name: orders
    template:
      id: "{{ body.id }}"
      event: order.hooked
      resource: { prefect.resource.id: "order.{{ body.id }}" }
      payload: '{"id": {{ body.id }}, "next": {{ body.id + 1 }}}'
automations:
  - name: order
    trigger: { expect: [order.placed, order.hooked], for_each: [prefect.resource.id] }
    actions:
      - type: call-webhook
        url: ${url}
      - type: call-webhook
        url: ${url}
        payload: { rule: [9400053101578681009, 0.10000000000000000001, 0x7fffffffffffffff] }
      - type: call-webhook
        url: ${url}
        payload: { kept: '{{ event.payload.id }}', next: ['{{ event.payload.id + 1 }}'], whole: '{{ event.payload }}' }
      - type: call-webhook
        url: ${url}
        payload: 'same={{ event.payload.id == 9400053101578681001 }} next={{ event.payload.id + 1 }}'
      - type: emit-event
        event: order.emitted
        resource: { prefect.resource.id: "order.{{ event.payload.id }}" }
        payload: { rule: 9400053101578681009, kept: '{{ event.payload.id }}' }
`;

beforeAll(async () => {
  redis = await startRedis();
  receiver = await misbehavingServer(answer(200, {}));
  const file = sandbox.write("rules.yaml", rules(receiver.url));
  server = await sandbox.serve(redis.url, ["--rules", file]);
});

afterAll(async () => {
  await sandbox.close();
  await receiver?.stop();
  await redis?.stop();
});

function post(path: string, body: string, type = "application/json"): Promise<Response> {
  return fetch(`${server.api}${path}`, { method: "POST", body, headers: { "Content-Type": type } });
}

/** As the API writes them. */
async function eventsText(name: string): Promise<string> {
  return (await post("/events/filter", JSON.stringify({ filter: { event: { name: [name] } } }))).text();
}

const bodies = () => receiver.requests.map(({ body }) => body);

describe("numbers keep their digits", () => {
  test("from an event to webhooks, emitted events, the history and the live feed", async () => {
    const tripline = new Tripline({ url: server.api, WebSocket });
    const streamed: ReceivedEvent[] = [];
    const stop = new AbortController();
    const streaming = (async () => {
      const filter = { event: { name: ["order.placed"] } };
      for await (const event of tripline.events.stream(filter, { signal: stop.signal })) {
        streamed.push(event);
        break;
      }
    })();
    const payload =
      '{"id":9400053101578681001,"deep":[{"price":0.1234567890123456789,"most":1e400}],"small":7}';
    const id = "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44";
    const event = `{"id":"${id}","occurred":"${new Date().toISOString()}","event":"order.placed","resource":{"prefect.resource.id":"order.1"},"payload":${payload}}`;
    expect((await post("/events", `[${event}]`)).status).toBe(204);

    await vi.waitUntil(() => bodies().length >= 4, { timeout: 30_000 });
    expect(bodies().find((body) => body.startsWith('{"automation"'))).toContain(`"payload":${payload}`);
    expect(bodies()).toContain('{"rule":[9400053101578681009,0.10000000000000000001,9223372036854775807]}');
    expect(bodies()).toContain(
      `{"kept":9400053101578681001,"next":[9400053101578681002],"whole":${payload}}`,
    );
    expect(bodies()).toContain("same=true next=9400053101578681002");
    await expect.poll(() => eventsText("order.placed")).toContain(`"payload":${payload}`);
    await expect
      .poll(() => eventsText("order.emitted"))
      .toContain('"payload":{"rule":9400053101578681009,"kept":9400053101578681001}');
    expect(await eventsText("order.emitted")).toContain('"prefect.resource.id":"order.9400053101578681001"');
    await streaming;
    stop.abort();
    expect(JSON.stringify(streamed[0]?.payload)).toBe(payload);

    const { events } = await tripline.events.page({ id: { id: [id] } });
    expect(events[0]?.payload["small"]).toBe(7);
    expect(events[0]?.payload["id"]).toEqual(new ExactNumber("9400053101578681001"));
    expect(BigInt(String(events[0]?.payload["id"]))).toBe(9400053101578681001n);
    const found = await tripline.events.page({
      text: { query: "9400053101578681001" },
      event: { name: ["order.placed"] },
    });
    expect(found.total).toBe(1);
  });

  test("from hooks: three ids that are the same double become three events", async () => {
    const count = bodies().length;
    const ids = ["9400053101578681001", "9400053101578681002", "9400053101578681003"];
    for (const id of [...ids, ...ids]) {
      expect((await post("/hooks/orders", `{"id": ${id}}`)).status).toBe(200);
    }
    await expect.poll(() => eventsText("order.hooked")).toContain('"total":3');
    const text = await eventsText("order.hooked");
    for (const id of ids) {
      expect(text).toContain(`"payload":{"id":${id},"next":${BigInt(id) + 1n}}`);
      expect(text).toContain(`"prefect.resource.id":"order.${id}"`);
    }
    await vi.waitUntil(() => bodies().length >= count + 12, { timeout: 30_000 });
  });

  test("from CloudEvents, in data and in attributes", async () => {
    const attributes = '"specversion":"1.0","source":"/orders","type":"order.cloud"';
    const structured = `{${attributes},"id":"1","order":9400053101578681001,"data":{"n":9400053101578681002}}`;
    expect((await post("/cloudevents", structured, "application/cloudevents+json")).status).toBe(204);
    const batch = `[{${attributes},"id":"2","data":9400053101578681003}]`;
    expect((await post("/cloudevents", batch, "application/cloudevents-batch+json")).status).toBe(204);
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": "3",
      "ce-source": "/orders",
      "ce-type": "order.cloud",
    };
    for (const type of ["application/json", ""]) {
      const body = Buffer.from('[{"n": 1e400}]');
      const sent = { ...headers, ...(type === "" ? { "ce-id": "4" } : { "Content-Type": type }) };
      expect((await fetch(`${server.api}/cloudevents`, { method: "POST", body, headers: sent })).status).toBe(
        204,
      );
    }
    await expect.poll(() => eventsText("order.cloud")).toContain('"total":4');
    const text = await eventsText("order.cloud");
    expect(text).toContain('"payload":{"n":9400053101578681002}');
    expect(text).toContain('"order":"9400053101578681001"');
    expect(text).toContain('"payload":{"data":9400053101578681003}');
    expect(text.split('"payload":{"data":[{"n":1e400}]}')).toHaveLength(3);
  });

  test("from /events/in", async () => {
    const socket = new NodeWebSocket(`${server.api.replace("http", "ws")}/events/in`, ["prefect"]);
    await new Promise((opened) => socket.once("open", opened));
    socket.send('{"type":"auth","token":null}');
    await new Promise((admitted) => socket.once("message", admitted));
    socket.send(
      `{"id":"7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d45","occurred":"${new Date().toISOString()}","event":"order.sent","resource":{"prefect.resource.id":"order.1"},"payload":{"id":9400053101578681001}}`,
    );
    await expect.poll(() => eventsText("order.sent")).toContain('"payload":{"id":9400053101578681001}');
    socket.close();
  });

  test("through the commands emit, events and automations", async () => {
    const environment = { TRIPLINE_API_URL: server.api };
    const emit = [
      "emit",
      "--id",
      "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d46",
      "-e",
      "order.typed",
      "-r",
      "order.1",
    ];
    const emitted = await sandbox.output([...emit, "-p", '{"id": 9400053101578681001}'], environment);
    expect(emitted).toMatchObject({ code: 0, stderr: "" });
    const lines = `{"event":"order.typed","resource":{"prefect.resource.id":"order.2"},"payload":{"id":9400053101578681002}}\n`;
    expect(await sandbox.output(["emit", "-"], environment, lines)).toMatchObject({ code: 0 });
    await expect.poll(() => eventsText("order.typed")).toContain('"total":2');
    for (const format of ["json", "yaml"]) {
      const words = ["events", "ls", "--name", "order.typed", "-o", format];
      const { stdout } = await sandbox.output(words, environment);
      expect(stdout).toMatch(/\bid"?: 9400053101578681001$/m);
      expect(stdout).toMatch(/\bid"?: 9400053101578681002$/m);
    }
    const { stdout } = await sandbox.output(["automations", "inspect", "order"], environment);
    expect(stdout).toMatch(/^ +- 9400053101578681009\n +- 0.10000000000000000001\n +- 9223372036854775807$/m);
  });

  test("in automations created over the API", async () => {
    const action = `{"type":"call-webhook","url":"${receiver.url}","payload":{"made":9400053101578681001}}`;
    const trigger = '{"type":"event","posture":"Reactive","expect":["order.none"],"threshold":1,"within":0}';
    const created = await post("/automations/", `{"name":"made","trigger":${trigger},"actions":[${action}]}`);
    expect(created.status).toBe(201);
    expect(await created.text()).toContain('"payload":{"made":9400053101578681001}');
    const refused = await post(
      "/automations/",
      `{"name":"refused","trigger":${trigger.replace('"threshold":1', '"threshold":9400053101578681001')},"actions":[]}`,
    );
    expect(refused.status).toBe(422);
    expect(await refused.text()).toMatch(
      /"msg":"Invalid input: expected \w+, received a number that is too large or has too many digits","input":9400053101578681001/,
    );
  });
});

test("cases for rules compare all digits", async () => {
  const cases = (id: string) => `
cases:
  - name: the order
    rules: [rules.yaml]
    automations: [order]
    steps:
      - { at: 0s, event: order.placed, resource: order.1, payload: { id: 9400053101578681001 } }
    expect:
      - at: 0s
        labels: { prefect.resource.id: order.1 }
        requests:
          - { body_includes: { event: { payload: { id: ${id} } } } }
          - { body: { rule: [9400053101578681009, 0.10000000000000000001, 0x7fffffffffffffff] } }
          - { body_includes: { kept: 9400053101578681001, next: [9400053101578681002] } }
          - { body: "same=true next=9400053101578681002" }
`;
  const good = sandbox.write("good.test.yaml", cases("9400053101578681001"));
  expect(await sandbox.output(["test", good])).toMatchObject({ code: 0 });
  const bad = sandbox.write("bad.test.yaml", cases("9400053101578681002"));
  const { code, stdout } = await sandbox.output(["test", bad]);
  expect(code).toBe(1);
  expect(stdout).toContain("expected 9400053101578681002, got 9400053101578681001");
});
