/** Ids of automations from rule files. They are derived from names, so loading a file again creates no duplicates. */

import { triplineNamespace, uuid5 } from "./uuid.ts";

/** The id of the automation that a rule file defines under this name. */
export function automationIdOf(workspace: string, name: string): string {
  return uuid5(triplineNamespace, `automation ${JSON.stringify([workspace, name])}`);
}

/** @param path of the trigger in its tree, as `walkTrigger` gives it */
export function triggerIdOf(automationId: string, path: string): string {
  return uuid5(automationId, `trigger ${path}`);
}
