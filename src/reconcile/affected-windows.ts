/** Lists the open windows that a plan keeps or resets, for people who review it before it is carried out. */

import { Core, type CoreOptions } from "../core/machine/core.ts";
import { showWindow } from "../core/machine/explain.ts";
import { finishInSlices, mapInSlices } from "../retry/slices.ts";
import type { Log } from "../store/log.ts";
import type { AutomationChange } from "./plan.ts";

/** A window as `showWindow` returns it, and what happens to it. */
export type AffectedWindow = ReturnType<typeof showWindow> & { readonly becomes: "kept" | "reset" };

/**
 * Reads the windows of an automation that is about to be changed or deleted.
 *
 * @param options the same as the engine's
 * @throws RedisUnreachable
 */
export async function affectedWindows(
  change: AutomationChange,
  log: Pick<Log, "automationState">,
  options: Pick<CoreOptions, "latenessDefault">,
): Promise<AffectedWindow[]> {
  if (change.kind === "create" || change.kind === "unchanged") return [];
  const { id } = change.before;
  const state = await log.automationState(id);
  if (state === null) return [];
  const becomes = change.kind === "change" ? change.windows : "reset";
  const core = await finishInSlices(Core.restoreInSteps(state, { ...options, stored: false }));
  return mapInSlices(core.windowsOf(id), (window) => ({ ...showWindow(window), becomes }));
}
