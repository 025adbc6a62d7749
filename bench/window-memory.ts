/**
 * What does a key with an open window cost, for each kind of trigger? Without Redis, and in CPU time, so that it says the
 * same on a busy machine. Prints for each kind the heap and the stored bytes a key, the time an event takes, and the time a
 * key takes when the state is restored.
 *
 * Run: npx node --expose-gc bench/window-memory.ts [keys, default 100000] [kind, default all]
 */

import { Core } from "../src/core/machine/core.ts";
import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import { type Event, eventOf } from "../src/core/model/event.ts";
import { formatTime, type Micros, millisecond, parseTime } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";

const keyCount = Number(process.argv[2] ?? 100_000);
const only = process.argv[3];
const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;
const beats = { expect: ["heartbeat"], for_each: ["prefect.resource.id"] };

const kinds: Record<string, object> = {
  heartbeat: { ...beats, posture: "Proactive", after: ["heartbeat"], within: 3_600 },
  expected: { ...beats, posture: "Proactive", within: 3_600 },
  burst: { ...beats, threshold: 5, within: 3_600 },
  tally: { ...beats, threshold: 5, within: 0 },
  opened: { ...beats, after: ["heartbeat"], threshold: 5, within: 3_600 },
  sequence: {
    type: "sequence",
    for_each: ["prefect.resource.id"],
    within: 3_600,
    triggers: [{ expect: ["heartbeat"] }, { expect: ["silence"] }],
  },
  compound: {
    type: "compound",
    for_each: ["prefect.resource.id"],
    within: 3_600,
    require: "all",
    triggers: [{ expect: ["heartbeat"] }, { expect: ["silence"] }],
  },
};

function automationOf(name: string, trigger: object): Automation {
  const definition = AutomationSchema.parse({ name, trigger });
  const id = uuid5(triplineNamespace, name);
  return { ...definition, id, source: { kind: "api" }, secrets: {}, created: start, updated: start };
}

let eventNumber = 0;

/** As an engine reads it from the log. Ten events a millisecond. */
function heartbeat(key: number): { event: Event; position: string } {
  const number = eventNumber++;
  const received = start + Math.floor(number / 10) * millisecond;
  const id = `${number.toString(16).padStart(8, "0")}-0000-4000-8000-${(number * 7919).toString(16).padStart(12, "0")}`;
  const wire = JSON.parse(
    JSON.stringify({
      occurred: formatTime(received),
      event: "heartbeat",
      resource: { "prefect.resource.id": `device.${String(key).padStart(7, "0")}` },
      ...{ related: [], payload: {}, id, follows: null },
    }),
  );
  return { event: eventOf(wire, received), position: `${received / millisecond}-${number % 10}` };
}

function heapBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

for (const [name, trigger] of Object.entries(kinds)) {
  if (only !== undefined && only !== name) continue;
  let stored = new Map<string, string>();
  const isStoring = keyCount <= 200_000;
  const before = heapBytes();
  let core = new Core();
  const automation = automationOf(name, trigger);
  core.apply({ kind: "automation-put", position: "0-0", received: start, automation });
  let storedBytes = 0;
  let spent = 0;
  for (let round = 0; round < 2; round++) {
    for (let key = 0; key < keyCount; ) {
      const last = Math.min(keyCount, key + 1_000);
      const batch: ReturnType<typeof heartbeat>[] = [];
      while (key < last) batch.push(heartbeat(key++));
      const from = cpuMicros();
      for (const { event, position } of batch) {
        core.apply({ kind: "event", position, received: event.received, event });
      }
      const { dirty } = core.drain();
      spent += cpuMicros() - from;
      if (!isStoring) continue;
      for (const { field, value } of dirty) {
        if (value === null) stored.delete(field);
        else stored.set(field, value);
      }
    }
  }
  // What still waits for its time to settle is the same for any number of keys.
  core.advance(core.watermark + 10 * 1_000 * millisecond);
  for (const { field, value } of core.drain().dirty) {
    if (!isStoring) continue;
    if (value === null) stored.delete(field);
    else stored.set(field, value);
  }
  const fields = [...stored];
  for (const [field, value] of fields) {
    if (!field.startsWith("i:")) storedBytes += field.length + value.length;
  }
  stored = new Map();
  fields.length = isStoring ? fields.length : 0;
  const seenBytes = 40 * Math.min(2 * keyCount, 1_000_000);
  const withFields = heapBytes();
  const copy = fields.splice(0);
  const used = heapBytes() - before - (isStoring ? withFields - heapBytes() : 0);
  let restoreText = "";
  if (isStoring) {
    const from = cpuMicros();
    core = Core.restore(copy);
    restoreText = `, restored in ${((cpuMicros() - from) / keyCount).toFixed(1)} µs a key`;
  }
  console.log(
    `${name.padEnd(10)} ${perKey(used)} bytes of heap a key (of which about ${perKey(seenBytes)} for ids), ${perKey(storedBytes)} bytes stored, ` +
      `${(spent / 2 / keyCount).toFixed(1)} µs an event${restoreText}`,
  );
  core.advance(0);
}

function perKey(bytes: number): string {
  return Math.round(bytes / keyCount).toLocaleString("en");
}
