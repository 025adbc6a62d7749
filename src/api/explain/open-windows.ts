/** The open windows of an automation, from the state that its engine has committed. */

import { Core } from "../../core/machine/core.ts";
import type { OpenWindow } from "../../core/machine/node.ts";
import type { Micros } from "../../core/model/time.ts";
import { finishInSlices } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import type { ExplainSettings } from "./replay.ts";

export interface OpenWindows {
  /** How far log time has been consumed; null until an engine has taken up the automation. */
  readonly asOf: Micros | null;
  readonly windows: Iterable<OpenWindow>;
}

/** @throws RedisUnreachable */
export async function openWindowsOf(log: Log, id: string, settings: ExplainSettings): Promise<OpenWindows> {
  const state = await log.automationState(id);
  if (state === null) return { asOf: null, windows: [] };
  const core = await finishInSlices(Core.restoreInSteps(state, { ...settings, stored: false }));
  return { asOf: core.watermark, windows: core.windowsOf(id) };
}
