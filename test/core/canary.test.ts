/** The canary's event concerns no automation of people, unless it names it. */

import { describe, expect, test } from "vitest";
import { compileEventTrigger, roleByName } from "../../src/core/machine/event-trigger.ts";
import { TriggerIndex } from "../../src/core/machine/trigger-index.ts";
import { canaryEvent, canaryEventName } from "../../src/core/model/canary.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { type EventTriggerDefinition, TriggerSchema } from "../../src/core/model/trigger.ts";

const event = eventOf(canaryEvent("7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44", 0), 0);

function triggerOf(fields: object) {
  return compileEventTrigger(TriggerSchema.parse({ within: 60, ...fields }) as EventTriggerDefinition, 0);
}

describe.each([
  // One that waits for any event would fire every minute; one that misses every event would never fire.
  [{}, null],
  [{ expect: ["*"] }, null],
  [{ expect: ["tripline.*"] }, null],
  [{ expect: ["!pump.started"] }, null],
  [{ expect: ["pump.started"], after: ["*"] }, null],
  [{ expect: [canaryEventName] }, { expected: true, after: false }],
  [
    { expect: ["pump.started"], after: [canaryEventName] },
    { expected: false, after: true },
  ],
])("a trigger with %j", (fields, role) => {
  test(`gives it the role ${JSON.stringify(role)}`, () => {
    const compiled = triggerOf(fields);
    expect(roleByName(compiled, event.name)).toEqual(role);
    const index = new TriggerIndex<{ compiled: typeof compiled }>();
    const trigger = { compiled };
    index.add(trigger);
    expect(index.find(event).get(trigger) ?? null).toEqual(role);
  });
});
