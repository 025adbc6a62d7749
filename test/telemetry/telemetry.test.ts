/** Traces and metrics as a collector receives them from a running server. */

import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signalsIn } from "../../src/telemetry/telemetry.ts";
import { logLines, root, Sandbox } from "../cli/support.ts";
import { startReceiver } from "../delivery/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startCollector } from "./collector.ts";

const sandbox = new Sandbox();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

/** A server with one rule: a stopped pump calls the webhook. */
async function serve(webhookUrl: string, env: Record<string, string>, extraOptions: readonly string[] = []) {
  const workspace = `w${randomUUID()}`;
  const rules = sandbox.write(
    `${workspace}.yaml`,
    `name: pump-stopped-${workspace}\ntrigger:\n  expect: [pump.stopped]\nactions:\n  - type: call-webhook\n    url: ${webhookUrl}\n`,
  );
  const options = ["--rules", rules, "--workspace", workspace, "--log-format", "json", ...extraOptions];
  const server = await sandbox.serve(redis.url, options, env);
  const post = () =>
    fetch(`${server.api}/events`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent, tracestate: "vendor=a" },
      body: JSON.stringify([
        {
          id: randomUUID(),
          occurred: new Date().toISOString(),
          event: "pump.stopped",
          resource: { "prefect.resource.id": "pump.1" },
        },
        {
          id: randomUUID(),
          occurred: new Date().toISOString(),
          event: "pump.checked",
          resource: { "prefect.resource.id": "pump.1" },
        },
      ]),
    });
  return { server, post };
}

test("one trace leads from the request through the firing to the webhook", async () => {
  const collector = await startCollector();
  const receiver = await startReceiver((response, _request, index) => {
    response.writeHead(index === 0 ? 500 : 200).end();
  });
  const { server, post } = await serve(
    receiver.url,
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "50",
      OTEL_METRIC_EXPORT_INTERVAL: "300",
      OTEL_METRIC_EXPORT_TIMEOUT: "250",
    },
    ["--retry", "50ms"],
  );
  expect((await post()).status).toBe(204);
  await receiver.arrived(2);
  await expect
    .poll(() => collector.spans.filter(({ traceId: id }) => id === traceId).length, { timeout: 10_000 })
    .toBe(4);

  const named = (name: string) => collector.spans.filter((span) => span.name === name);
  const [request] = named("POST /api/events");
  const [firing] = named("firing");
  const attempts = named("call-webhook");
  expect(request).toMatchObject({
    traceId,
    parentSpanId: "b7ad6b7169203331",
    traceState: "vendor=a",
    attributes: { "http.route": "/api/events", "http.response.status_code": 204 },
  });
  // An event that no automation matches gets no span.
  expect(named("firing")).toHaveLength(1);
  expect(firing).toMatchObject({ traceId, parentSpanId: request?.spanId });
  expect(attempts).toMatchObject([
    {
      traceId,
      parentSpanId: firing?.spanId,
      attributes: { "tripline.delivery.attempt": 1, "http.response.status_code": 500 },
      status: { code: 2, message: "responded 500" },
    },
    {
      traceId,
      parentSpanId: firing?.spanId,
      attributes: { "tripline.delivery.attempt": 2, "http.response.status_code": 200 },
    },
  ]);
  expect(receiver.received.map(({ headers }) => [headers["traceparent"], headers["tracestate"]])).toEqual(
    attempts.map(({ spanId }) => [`00-${traceId}-${spanId}-01`, "vendor=a"]),
  );

  // A command line may hold passwords, and the SDK would export it.
  expect(collector.resource).toMatchObject({ "service.name": "tripline" });
  expect(Object.keys(collector.resource).filter((key) => key.startsWith("process."))).toEqual([]);

  const attemptCount = () =>
    Number(
      collector.metrics.get("tripline_action_attempt_duration_seconds")?.histogram?.dataPoints[0]?.count,
    );
  await expect.poll(attemptCount, { timeout: 10_000 }).toBe(2);
  expect(collector.metrics.get("tripline_events_accepted_total")?.sum?.dataPoints[0]?.asDouble).toBe(2);
  expect(collector.metrics.get("tripline_action_queue")).toHaveProperty("gauge");

  const lines = logLines(server.process).filter((line) => "invocation" in line);
  expect(lines.map(({ trace_id }) => trace_id)).toEqual([traceId, traceId]);
  expect((await server.process.end()).code).toBe(0);
});

test("without a collector, the trace of the request still reaches the webhook", async () => {
  const receiver = await startReceiver();
  const { post } = await serve(receiver.url, {});
  await post();
  await receiver.arrived(1);
  expect(receiver.received[0]?.headers).toMatchObject({ traceparent, tracestate: "vendor=a" });
});

// A collector must never delay an alarm, and its absence must be visible.
test("a collector that is down delays nothing, and is reported once", async () => {
  const receiver = await startReceiver();
  const { server, post } = await serve(receiver.url, {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
    OTEL_EXPORTER_OTLP_TIMEOUT: "200",
    OTEL_BSP_SCHEDULE_DELAY: "50",
  });
  await post();
  await receiver.arrived(1);
  await server.process.until(() => logLines(server.process).some(({ msg }) => msg === "OpenTelemetry error"));
  expect((await server.process.end()).code).toBe(0);
  expect(logLines(server.process).filter(({ msg }) => msg === "OpenTelemetry error")).toHaveLength(1);
}, 30_000);

describe("the SDK", () => {
  const sdkFileCount = (env: Record<string, string>) => {
    const program = `
      import { createRequire } from "node:module";
      import { Metrics } from "./src/api/http/metrics.ts";
      import "./src/cli/serve.ts";
      import { startTelemetry } from "./src/telemetry/telemetry.ts";
      const logger = { warn() {} };
      const telemetry = await startTelemetry({ env: process.env, metrics: new Metrics(), logger, version: "1" });
      const { cache } = createRequire(process.cwd() + "/");
      // The metrics import the OpenTelemetry API, which is small. Everything else belongs to the SDK.
      console.log(Object.keys(cache).filter((path) => /@opentelemetry\\/(?!api\\/)/.test(path)).length);
      await telemetry.stop();`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module-typescript", "-e", program],
      {
        encoding: "utf8",
        cwd: root,
        env: { ...process.env, ...env },
      },
    );
    expect(stderr).toBe("");
    return Number(stdout);
  };

  // Loading it takes a quarter of a second and 40 MB.
  test("is loaded only if traces or metrics are exported", () => {
    expect(sdkFileCount({})).toBe(0);
    expect(
      sdkFileCount({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_SDK_DISABLED: "true" }),
    ).toBe(0);
    expect(sdkFileCount({ OTEL_TRACES_EXPORTER: "console" })).toBeGreaterThan(0);
  });

  test.each([
    [{}, false, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }, true, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_TRACES_EXPORTER: "none" }, false, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_METRICS_EXPORTER: "none" }, true, false],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c" }, true, false],
    [{ OTEL_METRICS_EXPORTER: "otlp" }, false, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: " " }, false, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_SDK_DISABLED: "True" }, false, false],
    [{ OTEL_SERVICE_NAME: "tripline" }, false, false],
  ])("with the environment %j exports traces: %s, metrics: %s", (env, traces, metrics) => {
    expect(signalsIn(env)).toEqual({ traces, metrics });
  });
});
