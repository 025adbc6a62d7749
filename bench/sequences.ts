/**
 * What does a sequence cost that remembers all it may? Every key repeats the first steps until each holds as many firings as
 * are remembered, and never completes. Prints the memory, the size of the stored state and events per second.
 *
 * Run: npx node --expose-gc bench/sequences.ts [keys, default 10000] [rounds, default 40]
 */

import { Core } from "../src/core/machine/core.ts";
import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import { EventSchema, eventOf } from "../src/core/model/event.ts";
import { rememberedFiringsMax } from "../src/core/model/limits.ts";
import { formatTime, type Micros, millisecond, parseTime } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";

const keyCount = Number(process.argv[2] ?? 10_000);
const roundCount = Number(process.argv[3] ?? rememberedFiringsMax + 8);
const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;
const steps = ["order.paid", "order.packed"];

const automation: Automation = {
  ...AutomationSchema.parse({
    name: "paid, packed, shipped",
    trigger: {
      type: "sequence",
      for_each: ["order"],
      within: "30d",
      triggers: [...steps, "order.shipped"].map((name) => ({ expect: [name] })),
    },
  }),
  ...{ id: uuid5(triplineNamespace, "sequence"), source: { kind: "api" }, secrets: {} },
  ...{ created: start, updated: start },
};

const megabyte = 1024 * 1024;

function heapMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / megabyte;
}

const before = heapMegabytes();
const core = new Core();
core.apply({ kind: "automation-put", position: "0-0", received: start, automation });

let eventCount = 0;
let storedBytes = 0;
const sizes = new Map<string, number>();

/** Takes the changes as the engine would commit them, and adds up what Redis would hold. */
function commit(): void {
  for (const { field, value } of core.drain().dirty) {
    const size = value === null ? 0 : field.length + Buffer.byteLength(value);
    storedBytes += size - (sizes.get(field) ?? 0);
    if (size === 0) sizes.delete(field);
    else sizes.set(field, size);
  }
}

const startNs = process.hrtime.bigint();
for (let round = 0; round < roundCount; round++) {
  for (const name of steps) {
    for (let key = 0; key < keyCount; key++) {
      const received = start + eventCount * millisecond;
      const wire = EventSchema.parse({
        id: uuid5(triplineNamespace, `event ${eventCount}`),
        occurred: formatTime(received),
        event: name,
        resource: { "prefect.resource.id": `order.${key}`, order: String(key) },
      });
      core.apply({ kind: "event", position: `1-${eventCount}`, received, event: eventOf(wire, received) });
      eventCount++;
      if (eventCount % 1_000 === 0) commit();
    }
  }
}
commit();
const elapsed = Number(process.hrtime.bigint() - startNs) / 1e9;

sizes.clear(); // this program's own
const used = heapMegabytes() - before;
console.log(`keys:          ${keyCount.toLocaleString("en")}`);
console.log(`events:        ${eventCount.toLocaleString("en")}`);
console.log(`events/second: ${Math.round(eventCount / elapsed).toLocaleString("en")}`);
console.log(`heap:          ${Math.round(used)} MB, ${perKey(used * megabyte)} a key`);
console.log(`stored:        ${Math.round(storedBytes / megabyte)} MB, ${perKey(storedBytes)} a key`);

function perKey(bytes: number): string {
  return `${(bytes / keyCount / 1024).toFixed(1)} KB`;
}
