/**
 * What does it cost to record an event in the history?
 *
 *     node bench/recording.ts [--events 50000] [--runs 3] [--url postgres://…]
 *
 * Fills the log of a private Redis with events, and then lets a recorder copy it into a new history, as the role `recorder`
 * does. It prints the wall time and the CPU time of all threads of this process for each event (reading from Redis and
 * decoding included; Redis and PostgreSQL themselves are not), and the limit in the same run: the same JSON texts, already
 * in memory, written into one table with one index in transactions of the same size. With PostgreSQL, the limit is COPY.
 *
 * `shared`: the events are about 5,000 resources with two related resources of 200 sets. `own`: each event has labels that
 * no other has.
 */

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import type { WireEvent } from "../src/core/model/event.ts";
import { formatTime, millisecond } from "../src/core/model/time.ts";
import { openHistory } from "../src/history/history.ts";
import { Recorder } from "../src/history/recorder.ts";
import { connect } from "../src/store/connection.ts";
import { Log } from "../src/store/log.ts";
import { startRedis } from "../test/support/redis.ts";
import { median } from "./support/figures.ts";
import { report } from "./support/report.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "50000" },
    runs: { type: "string", default: "3" },
    url: { type: "string" },
  },
});
const eventCount = Number(values.events);
const eventsPerTransaction = 5_000;
const variants = ["shared", "own"] as const;
type Variant = (typeof variants)[number];

interface Cost {
  readonly cpuMicros: number;
  readonly wallMicros: number;
  readonly bytes: number;
}

function eventAt(index: number, variant: Variant): WireEvent {
  const pump = variant === "own" ? `${index}` : `${(index * 7_919) % 5_000}`;
  const house = index % 200;
  return {
    occurred: formatTime((1_790_000_000_000 + index) * millisecond),
    event: `pump.${["started", "stopped", "reported", "checked"][index % 4]}`,
    resource: {
      "prefect.resource.id": `greenhouse.pump.${pump}`,
      "prefect.resource.name": `Pump ${pump}`,
      zone: `zone ${index % 5}`,
      kind: "pump",
    },
    related: [
      { "prefect.resource.id": `greenhouse.house.${house}`, "prefect.resource.role": "house" },
      { "prefect.resource.id": `greenhouse.site.${house % 20}`, "prefect.resource.role": "site" },
    ],
    payload: {
      reading: { temperature: 20 + (index % 17), humidity: 50 + (index % 31), unit: "celsius" },
      source: "greenhouse controller 4",
      attempt: index % 3,
      message: "the pump has reached its working pressure",
      intended: { from: "Pending", to: "Running" },
    },
    id: randomUUID(),
    follows: null,
  };
}

async function costOf(work: () => Promise<number>): Promise<Cost> {
  const began = performance.now();
  const before = process.cpuUsage();
  const bytes = await work();
  const { user, system } = process.cpuUsage(before);
  return {
    cpuMicros: (user + system) / eventCount,
    wallMicros: ((performance.now() - began) * 1_000) / eventCount,
    bytes: bytes / eventCount,
  };
}

/** Records the whole log of a workspace. */
async function recordLog(redisUrl: string, workspace: string, directory: string): Promise<Cost> {
  const path = join(directory, `${randomUUID()}.sqlite`);
  const address = values.url === undefined ? { path } : { url: values.url };
  const redis = connect(redisUrl);
  const log = new Log(redis, workspace);
  const history = await openHistory({
    ...address,
    isOnThisThread: true,
    workspace: `${workspace} ${randomUUID()}`,
  });
  const last = await log.lastPosition();
  const recorded = Promise.withResolvers<void>();
  const recorder = new Recorder(history, log, {
    onRecorded: (position) => position === last && recorded.resolve(),
    onError: console.error,
  });
  try {
    return await costOf(async () => {
      recorder.start();
      await recorded.promise;
      return values.url === undefined ? statSync(path).size + statSync(`${path}-wal`).size : 0;
    });
  } finally {
    const stopped = recorder.stop();
    log.close(); // ends its wait for more
    await stopped;
    log.close(); // the wait may have begun in the meantime
    await history.close();
    redis.disconnect();
  }
}

/** The least that storing the same texts takes. */
function writeBare(
  events: readonly (readonly [id: Uint8Array, text: string])[],
  directory: string,
): Promise<Cost> {
  if (values.url !== undefined) return copyBare(events, values.url);
  const path = join(directory, `${randomUUID()}.sqlite`);
  const database = new DatabaseSync(path);
  database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536");
  database.exec("create table events (key integer primary key, id blob not null, body text not null)");
  database.exec("create unique index events_id on events (id)");
  const insert = database.prepare("insert into events (id, body) values (?, ?)");
  return costOf(async () => {
    for (let first = 0; first < events.length; first += eventsPerTransaction) {
      database.exec("begin immediate");
      for (const [id, text] of events.slice(first, first + eventsPerTransaction)) insert.run(id, text);
      database.exec("commit");
    }
    const bytes = statSync(path).size + statSync(`${path}-wal`).size;
    database.close();
    return bytes;
  });
}

async function copyBare(
  events: readonly (readonly [id: Uint8Array, text: string])[],
  url: string,
): Promise<Cost> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("drop table if exists bench_bare");
  await client.query("create table bench_bare (id bytea primary key, body text not null)");
  try {
    return await costOf(async () => {
      for (let first = 0; first < events.length; first += eventsPerTransaction) {
        const part = events.slice(first, first + eventsPerTransaction);
        const lines = part.map(
          ([id, text]) => `\\\\x${Buffer.from(id).toString("hex")}\t${text.replaceAll("\\", "\\\\")}\n`,
        );
        await pipeline(Readable.from([lines.join("")]), client.query(copyFrom("copy bench_bare from stdin")));
      }
      return 0;
    });
  } finally {
    await client.query("drop table bench_bare");
    await client.end();
  }
}

function printCosts(name: string, costs: readonly Cost[], limitMicros: number): void {
  const cpu = costs.map(({ cpuMicros }) => cpuMicros);
  const columns = [
    `${median(cpu).toFixed(1)} µs CPU (${Math.min(...cpu).toFixed(1)} to ${Math.max(...cpu).toFixed(1)})`,
    `${median(costs.map(({ wallMicros }) => wallMicros)).toFixed(1)} µs wall`,
    `${median(costs.map(({ bytes }) => bytes)).toFixed(0)} bytes`,
    `${(median(cpu) / limitMicros).toFixed(2)} × limit`,
  ];
  console.log(`${name.padEnd(10)} ${columns.map((column) => column.padEnd(32)).join("")}`);
}

const server = await startRedis();
const directory = mkdtempSync(join(tmpdir(), "tripline-bench-"));
const redis = connect(server.url);
try {
  const texts = new Map<Variant, (readonly [Uint8Array, string])[]>();
  for (const variant of variants) {
    const log = new Log(redis, variant);
    const events = Array.from({ length: eventCount }, (_, index) => eventAt(index, variant));
    for (let first = 0; first < eventCount; first += 1_000)
      await log.appendEvents(events.slice(first, first + 1_000).map((event) => ({ event })));
    texts.set(
      variant,
      events.map((event) => [Buffer.from(event.id.replaceAll("-", ""), "hex"), JSON.stringify(event)]),
    );
    log.close();
  }
  const costs = new Map<string, Cost[]>();
  const add = (name: string, cost: Cost) => costs.set(name, [...(costs.get(name) ?? []), cost]);
  for (let run = 0; run < Number(values.runs); run += 1) {
    for (const variant of variants) {
      add("bare", await writeBare(texts.get(variant) ?? [], directory));
      add(variant, await recordLog(server.url, variant, directory));
    }
  }
  const limit = median((costs.get("bare") ?? []).map(({ cpuMicros }) => cpuMicros));
  for (const [name, measured] of costs) printCosts(name, measured, limit);
  for (const variant of variants) {
    report({
      question: `recording an event, ${variant}`,
      unit: "µs of CPU",
      values: (costs.get(variant) ?? []).map(({ cpuMicros }) => cpuMicros),
      lowerIsBetter: true,
    });
  }
} finally {
  redis.disconnect();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}
