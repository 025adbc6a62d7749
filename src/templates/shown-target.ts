/** Where an action goes, as people may see it. */

import type { ActionDefinition } from "../core/model/action.ts";
import { cut } from "../core/model/cut.ts";
import { withoutCredentials } from "../core/model/url.ts";
import { redactionOf, type Secrets } from "./references.ts";

/** In characters. Only a URL with long templates is longer. */
const targetLengthMax = 500;

/**
 * The target of an action as the rule has it: the URL without credentials, templates and references not filled in; or the
 * name or the id of the destination.
 *
 * @returns null if the action sends nothing anywhere
 */
export function shownTargetOf(action: ActionDefinition, secrets: Secrets): string | null {
  if (action.type !== "call-webhook" && action.type !== "send-notification") return null;
  const url = action.type === "call-webhook" ? action.url : undefined;
  if (url !== undefined) return cut(redactionOf(secrets)(withoutCredentials(url)), targetLengthMax);
  return action.destination ?? action.block_document_id ?? null;
}
