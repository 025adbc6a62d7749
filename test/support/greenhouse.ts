/** The small world of the tests: a greenhouse with pumps and vents. */

import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { withTriggerIds } from "../../src/core/model/trigger.ts";
import { triplineNamespace, uuid5 } from "../../src/core/model/uuid.ts";

/** An automation whose id is derived from its name; `definition` is written as in a rule file. */
export function greenhouseAutomation(name: string, definition: object = {}): Automation {
  const id = uuid5(triplineNamespace, name);
  const parsed = AutomationSchema.parse({
    name,
    trigger: { expect: ["pump.failed"] },
    actions: [{ type: "do-nothing" }],
    ...definition,
  });
  return {
    ...parsed,
    trigger: withTriggerIds(parsed.trigger, (path) => uuid5(id, path)),
    id,
    source: { kind: "api" },
    secrets: {},
    created: 0,
    updated: 0,
  };
}
