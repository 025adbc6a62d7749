/**
 * How fast does the event feed answer over a long history?
 *
 *     node bench/history.ts [--events 1000000] [--url postgres://… | --path FILE] [--keep]
 *
 * Records that many events (unless the database already has them), then queries the feed's first page with several
 * filters, and counts. It prints the time of each query, and its ratio to the unfiltered page in the same run, which can
 * be compared between machines. The history promises at most 100 ms for "name prefix and resource".
 */

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { WireEvent } from "../src/core/model/event.ts";
import { formatTime, hour, type Micros, millisecond, second } from "../src/core/model/time.ts";
import { EventFilterSchema, resolveFilter } from "../src/history/filter.ts";
import { type History, openHistory } from "../src/history/history.ts";
import type { LoggedEvent } from "../src/store/event-batch.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    url: { type: "string" },
    path: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const eventCount = Number(values.events);
const batchSize = 2_000;
const repetitions = 15;
const runCount = Math.ceil(eventCount / 10); // ten events per run; each run is a separate resource
const start: Micros = Date.now() * millisecond - 30 * 24 * hour;
const gap: Micros = Math.floor((30 * 24 * hour) / eventCount);
const now: Micros = start + eventCount * gap;

const directory = mkdtempSync(join(tmpdir(), "tripline-bench-"));
const path = values.path ?? join(directory, "events.sqlite");
const address = values.url === undefined ? { path } : { url: values.url };
const history = await openHistory({ ...address, workspace: "bench" });
try {
  await fill(history);
  await measure(history);
} finally {
  await history.close();
  if (!values.keep) rmSync(directory, { recursive: true, force: true });
}

/** A typical mix: nine in ten events are about runs, each of a flow and in a pool; the rest are heartbeats. */
function eventAt(index: number): WireEvent {
  const heartbeat = index % 10 === 9;
  const run = Math.floor(index / 10);
  const flow = (run * 7919) % 200;
  const state = ["Scheduled", "Pending", "Running", "Completed", "Failed"][index % 5] ?? "";
  return {
    id: `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`,
    occurred: formatTime(start + index * gap),
    event: heartbeat ? "greenhouse.sensor.heartbeat" : `prefect.flow-run.${state}`,
    resource: heartbeat
      ? { "prefect.resource.id": `greenhouse.sensor.${run % 1_000}`, zone: `zone ${run % 12}` }
      : { "prefect.resource.id": `prefect.flow-run.${run}`, "prefect.resource.name": `run ${run}`, state },
    related: heartbeat
      ? []
      : [
          {
            "prefect.resource.id": `prefect.flow.${flow}`,
            "prefect.resource.role": "flow",
            team: `team ${flow % 9}`,
          },
          { "prefect.resource.id": `prefect.work-pool.${flow % 20}`, "prefect.resource.role": "work-pool" },
        ],
    payload: heartbeat
      ? { temperature: index % 40 }
      : { intended: { from: "Pending", to: state }, attempt: index % 3 },
    follows: null,
  };
}

async function fill(history: History): Promise<void> {
  const began = performance.now();
  let after = await history.recordedPosition();
  const done = Number(after.split("-")[1]);
  for (let index = done; index < eventCount; index += batchSize) {
    const events: LoggedEvent[] = [];
    for (let next = index; next < Math.min(index + batchSize, eventCount); next += 1) {
      const received = start + next * gap + second;
      const position = `1-${next + 1}`;
      events.push({ position, received, text: JSON.stringify(eventAt(next)) });
    }
    const position = events.at(-1)?.position ?? after;
    await history.record({ after, position, events });
    after = position;
  }
  const seconds = (performance.now() - began) / 1_000;
  if (done < eventCount) {
    console.log(
      `recorded ${eventCount - done} events in ${seconds.toFixed(1)} s: ${Math.round((eventCount - done) / seconds)}/s`,
    );
  }
  if (values.url === undefined) {
    const bytes = statSync(path).size;
    console.log(
      `file: ${(bytes / 2 ** 20).toFixed(0)} MiB, ${Math.round(bytes / eventCount)} bytes per event`,
    );
  }
}

async function measure(history: History): Promise<void> {
  const flowRun = `prefect.flow-run.${Math.floor(runCount / 2)}`;
  const filters: Record<string, unknown> = {
    unfiltered: {},
    "name prefix and resource": { event: { prefix: ["prefect.flow-run."] }, resource: { id: [flowRun] } },
    "name prefix and frequent resource": {
      event: { prefix: ["greenhouse."] },
      resource: { id: ["greenhouse.sensor.7"] },
    },
    "name prefix and resource prefix": {
      event: { prefix: ["prefect."] },
      resource: { id_prefix: ["prefect.flow-run.77"] },
    },
    "name prefix and broad resource prefix": {
      event: { prefix: ["prefect."] },
      resource: { id_prefix: ["prefect.flow-run."] },
    },
    "name prefix and any resource": {
      event: { prefix: ["prefect.flow-run."] },
      any_resource: { id: ["prefect.flow.7"] },
    },
    "name prefix": { event: { prefix: ["prefect.flow-run.F"] } },
    "related role and id": { related: { role: ["flow"], id: ["prefect.flow.7"] } },
    "resource label": { resource: { labels: { zone: ["zone 1*"] } } },
    "one resource, each once": { resource: { id_prefix: ["greenhouse.sensor."], distinct: true } },
    "text, one day": {
      occurred: { since: formatTime(now - 24 * hour) },
      text: { query: "+failed temperature intended" },
    },
    text: { text: { query: "temperature" } },
  };
  let baselineMs = 0;
  for (const [name, written] of Object.entries(filters)) {
    const filter = resolveFilter(EventFilterSchema.parse(written), now);
    let total = 0;
    const times = await timesOf(async () => {
      total = (await history.queryEvents(filter, { limit: 50 })).total;
    });
    baselineMs ||= times.median;
    report(name, times, baselineMs, `of ${total}`);
  }
  const everything = resolveFilter(null, now);
  for (const countable of ["event", "resource", "day"] as const) {
    const times = await timesOf(() =>
      history.countBy(countable, everything, { unit: "day", interval: 1, now }),
    );
    report(`count by ${countable}`, times, baselineMs, "");
  }
}

interface Times {
  readonly median: number;
  readonly p95: number;
}

async function timesOf(ask: () => Promise<unknown>): Promise<Times> {
  await ask(); // the first query may read from disk, but users of the feed query repeatedly
  const times: number[] = [];
  const deadline = performance.now() + 10_000;
  while (times.length < repetitions && (times.length < 3 || performance.now() < deadline)) {
    const began = performance.now();
    await ask();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return {
    median: times[Math.floor(times.length / 2)] ?? 0,
    p95: times[Math.floor(times.length * 0.95)] ?? 0,
  };
}

function report(name: string, { median, p95 }: Times, baselineMs: number, found: string): void {
  const columns = [
    `p50 ${median.toFixed(1)} ms`,
    `p95 ${p95.toFixed(1)} ms`,
    `${(median / baselineMs).toFixed(2)} × unfiltered`,
  ];
  console.log(`${name.padEnd(38)} ${columns.map((column) => column.padEnd(18)).join(" ")} ${found}`);
}
