/** Ids of automations from files. The API derives the same ones for rules that are sent to it. */

export { automationIdOf, triggerIdOf } from "../core/model/automation-ids.ts";
