/**
 * How much slower does the core get with many rules? Prints events per second with one rule and with many, and their
 * ratio.
 *
 * Run: npx node bench/core.ts [rules, default 10000] [events, default 100000]
 */

import { Core } from "../src/core/machine/core.ts";
import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import { type Event, EventSchema, eventOf } from "../src/core/model/event.ts";
import { formatTime, type Micros, millisecond, parseTime } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";

const ruleCount = Number(process.argv[2] ?? 10_000);
const eventCount = Number(process.argv[3] ?? 100_000);
const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;

/** Rules like those of a team with many services: most match events of one service, some a whole family of events. */
function ruleOf(index: number): Automation {
  const service = { "prefect.resource.id": `service.${index}` };
  const kinds = [
    { expect: ["job.failed"], match: service },
    { expect: ["job.*"], match: service, threshold: 5, within: 60 },
    { after: ["job.started"], expect: ["job.finished"], match: service, posture: "Proactive", within: 3600 },
    { expect: [`heartbeat.${index}`], posture: "Proactive", within: 60 },
  ];
  const definition = AutomationSchema.parse({ name: `rule ${index}`, trigger: kinds[index % kinds.length] });
  const id = uuid5(triplineNamespace, definition.name);
  return { ...definition, id, source: { kind: "api" }, secrets: {}, created: start, updated: start };
}

function eventsFor(services: number): Event[] {
  const names = ["job.started", "job.finished", "job.failed", "disk.full"];
  return Array.from({ length: eventCount }, (_, index) => {
    const received = start + index * millisecond;
    const wire = EventSchema.parse({
      id: uuid5(triplineNamespace, `event ${index}`),
      occurred: formatTime(received),
      event: names[index % names.length],
      resource: { "prefect.resource.id": `service.${(index * 7919) % services}` },
    });
    return eventOf(wire, received);
  });
}

function eventsPerSecond(rules: number, events: readonly Event[]): number {
  const core = new Core();
  for (let index = 0; index < rules; index++) {
    core.apply({
      kind: "automation-put",
      position: `0-${index}`,
      received: start,
      automation: ruleOf(index),
    });
  }
  core.drain();
  const startNs = process.hrtime.bigint();
  for (const [index, event] of events.entries()) {
    core.apply({ kind: "event", position: `1-${index}`, received: event.received, event });
    if (index % 1_000 === 999) core.drain();
  }
  return events.length / (Number(process.hrtime.bigint() - startNs) / 1e9);
}

const events = eventsFor(ruleCount);
eventsPerSecond(100, events.slice(0, 10_000));
const withOneRule = eventsPerSecond(1, events);
const withManyRules = eventsPerSecond(ruleCount, events);
console.log(`1 rule:        ${Math.round(withOneRule).toLocaleString("en")} events per second`);
console.log(`${ruleCount} rules:   ${Math.round(withManyRules).toLocaleString("en")} events per second`);
console.log(
  `ratio:         ${(withOneRule / withManyRules).toFixed(1)} times slower with ${ruleCount} times the rules`,
);
