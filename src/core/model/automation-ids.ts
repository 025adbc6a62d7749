/** Ids of automations from rule files: derived from their names, so that loading again never duplicates. */

import { triplineNamespace, uuid5 } from "./uuid.ts";

/** The id of the automation that a rule file of this workspace defines under this name. */
export function automationIdOf(workspace: string, name: string): string {
  return uuid5(triplineNamespace, `automation ${JSON.stringify([workspace, name])}`);
}

/** @param path of the trigger in its tree, as `walkTrigger` gives it */
export function triggerIdOf(automationId: string, path: string): string {
  return uuid5(automationId, `trigger ${path}`);
}
