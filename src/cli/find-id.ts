/** Finds out what an id belongs to: an automation, an event, a firing or a delivery. */

import type { LookupMatch, Tripline } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { CommandFailure } from "./failure.ts";

/** @throws CommandFailure if nothing has this id, or if several ids begin with it */
export async function findId(tripline: Tripline, idOrName: string): Promise<LookupMatch> {
  const { matches, truncated } = await tripline.lookUp(idOrName);
  const [match, ...others] = matches;
  if (match === undefined && /^[0-9a-f]{1,3}$/i.test(idOrName)) {
    throw new CommandFailure(`Give at least the first 4 characters of an id; ${idOrName} is too short.`);
  }
  if (match === undefined) {
    const isBeginning = /^[0-9a-f-]{4,35}$/i.test(idOrName) && !isUuid(idOrName);
    throw new CommandFailure(
      `Nothing is known about ${JSON.stringify(idOrName)}. It is neither the name of an automation nor the id of an ` +
        "automation, an event, a firing or a delivery. " +
        (isBeginning
          ? "The first characters find a delivery only while it is recent: try the whole id. "
          : "") +
        "List some with: tripline events ls, tripline automations ls",
    );
  }
  if (others.length === 0) return match;
  const listed = matches.map(
    ({ kind, id, automation }) => `  ${id}  ${kind}${automation === null ? "" : ` of ${automation.name}`}`,
  );
  throw new CommandFailure(
    `${truncated ? "More than " : ""}${matches.length} ids begin with ${idOrName}. Give more of one:\n${listed.join("\n")}`,
  );
}
