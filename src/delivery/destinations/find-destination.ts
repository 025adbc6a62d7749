/** Finds the destination that an action refers to. */

import type { DestinationReference } from "../../core/model/action.ts";
import type { Destination } from "../../core/model/destination.ts";
import type { DeliveryLog } from "../ports.ts";

/**
 * Looks up the destination at each attempt, so that a corrected one is used at the next.
 *
 * @returns the destination; null if the action does not refer to one; a reason if the destination does not exist
 * @throws RedisUnreachable, SecretUnreadable
 */
export async function findDestination(
  { block_document_id: id, destination: name }: DestinationReference,
  { destinations }: Pick<DeliveryLog, "destinations">,
): Promise<Destination | string | null> {
  if (name === undefined && id === undefined) return null;
  const found = name === undefined ? await destinations.get(id ?? "") : await destinations.getByName(name);
  if (found === null) return `destination ${name === undefined ? id : JSON.stringify(name)} does not exist`;
  destinations.requireSecrets(found);
  return found;
}
