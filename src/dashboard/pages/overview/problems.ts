/** What is wrong, by the numbers of the overview. */

import type { Overview } from "../../../client/types.ts";
import { countOf, countText } from "../../parts/numbers.ts";
import { durationText } from "../../parts/times.tsx";

export interface OverviewProblem {
  readonly tone: "bad" | "warn";
  readonly text: string;
  /** The page that shows more. */
  readonly path: string | null;
}

/** Longer than a burst or the change of an owner takes. */
const delayMsMax = 5_000;
const historyMsMax = 30_000;

/** The problems that a person should know of, the worst first; none if all is well. */
export function problemsIn({
  shards,
  history,
  windows,
  deliveries,
  automations,
}: Overview): OverviewProblem[] {
  const bad: OverviewProblem[] = [];
  const warn: OverviewProblem[] = [];
  const unowned = shards.count - shards.owned;
  if (shards.count === 0) {
    bad.push({
      tone: "bad",
      text: "No engine has ever run: events are stored, and nothing is judged",
      path: "/settings",
    });
  } else if (unowned > 0) {
    const text = `No engine runs for ${unowned === shards.count ? "any shard" : countOf(unowned, "shard")}: some automations are not judged`;
    bad.push({ tone: "bad", text, path: "/settings" });
  }
  if (shards.delay_ms_max > delayMsMax) {
    const text = `Alarms are late: what is judged now is ${durationText(shards.delay_ms_max)} old`;
    bad.push({ tone: "bad", text, path: "/settings" });
  }
  if (windows.unresolved > 0) {
    const text =
      windows.unresolved === 1
        ? "1 key is silent now"
        : `${countText(windows.unresolved)} keys are silent now`;
    bad.push({ tone: "bad", text, path: "/automations?sort=silent" });
  }
  if (deliveries.dead > 0) {
    const text = `${countOf(deliveries.dead, "delivery", "deliveries")} failed for good, or canceled`;
    bad.push({ tone: "bad", text, path: "/deliveries?state=dead" });
  }
  if (deliveries.retrying > 0) {
    const text = `${countOf(deliveries.retrying, "delivery", "deliveries")} tried again, or waiting for an endpoint`;
    warn.push({ tone: "warn", text, path: "/deliveries?state=retrying" });
  }
  if (history.enabled && history.behind_ms === null) {
    warn.push({ tone: "warn", text: "The database of the history does not answer", path: "/settings" });
  } else if ((history.behind_ms ?? 0) > historyMsMax) {
    const text = `The history is ${durationText(history.behind_ms ?? 0)} behind`;
    warn.push({ tone: "warn", text, path: "/settings" });
  }
  if (automations.enabled === 0) {
    warn.push({ tone: "warn", text: "No automation is enabled, so nothing can fire", path: "/automations" });
  }
  return [...bad, ...warn];
}
