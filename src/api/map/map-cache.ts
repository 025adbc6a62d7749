/** The map of a workspace's automations, made once for each of their versions. */

import { createHash } from "node:crypto";
import type { Automation } from "../../core/model/automation.ts";
import type { Micros } from "../../core/model/time.ts";
import { mapSteps, type ReactionMap } from "../../lint/reaction-map.ts";
import { finishInSlices } from "../../retry/slices.ts";

/** The bounds of a whole map. */
const linksMax = 100_000;
const loopsMax = 100;
/** However long the automations take, what was found by then is shown. */
const patienceMs = 10_000;
/** A map that lacks something is made again after this time: the process may have been busy. */
const incompleteMs = 60_000;

export class CachedMap {
  readonly #latenessDefault: Micros;
  #made: { readonly fingerprint: string; readonly map: ReactionMap; readonly staleAt: number } | null = null;
  #making: Promise<ReactionMap> | null = null;

  /** @param latenessDefault the server's lateness for triggers that set none */
  constructor(latenessDefault: Micros) {
    this.#latenessDefault = latenessDefault;
  }

  /** The map of these automations. One is made at a time. @param automations in the same order each time */
  async of(automations: readonly Automation[]): Promise<ReactionMap> {
    const fingerprint = fingerprintOf(automations);
    for (;;) {
      const made = this.#made;
      if (made?.fingerprint === fingerprint && performance.now() < made.staleAt) return made.map;
      if (this.#making === null) break;
      await this.#making.catch(() => {}); // a failure is for the request that made it
    }
    this.#making = this.#make(automations, fingerprint);
    try {
      return await this.#making;
    } finally {
      this.#making = null;
    }
  }

  async #make(automations: readonly Automation[], fingerprint: string): Promise<ReactionMap> {
    const started = performance.now();
    const isOver = () => performance.now() > started + patienceMs;
    const steps = mapSteps(automations, this.#latenessDefault, { linksMax, loopsMax, isOver });
    const map = await finishInSlices(steps);
    const staleAt = map.isComplete ? Number.POSITIVE_INFINITY : performance.now() + incompleteMs;
    this.#made = { fingerprint, map, staleAt };
    return map;
  }
}

/** Equal for the same versions of the same automations: every change makes `updated` greater. */
function fingerprintOf(automations: readonly Automation[]): string {
  const hash = createHash("sha256");
  for (const { id, updated, enabled } of automations) hash.update(`${id} ${updated} ${enabled}\n`);
  return hash.digest("base64");
}
