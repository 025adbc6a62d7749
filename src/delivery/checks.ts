/** What can be known to be wrong with an action before it is run, besides what its schema sees. */

import type { ActionDefinition } from "../core/model/action.ts";
import { templateProblem } from "../templates/template.ts";
import { emitEventProblem } from "./actions/emit-event.ts";

/** Each says what is wrong, for whoever writes it; or null. */
export const actionChecks = {
  template: templateProblem,
  action(action: ActionDefinition): string | null {
    if (action.type === "emit-event") return emitEventProblem(action);
    if (action.type !== "call-webhook" || action.url === undefined) return null;
    if (/\{[{%#]/.test(action.url)) return null; // known only when it is rendered
    const { protocol } = URL.parse(action.url) ?? {};
    if (protocol === "http:" || protocol === "https:") return null;
    return "url should be an address that begins with http:// or https://";
  },
};
