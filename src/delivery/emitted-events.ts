/** The events that a firing's `emit-event` actions would emit, for simulations and cases. */

import { invocationsOf } from "../core/machine/consequence.ts";
import type { Firing } from "../core/machine/firing.ts";
import type { WireEvent } from "../core/model/event.ts";
import { Renderer } from "../templates/renderer.ts";
import { TemplateError } from "../templates/template.ts";
import { renderEvent } from "./actions/emit-event.ts";

export interface EmittedEvents {
  readonly events: readonly WireEvent[];
  /** Why events were not emitted. */
  readonly problems: readonly string[];
}

/** Renders them with the code that emits them in production, at the time of the firing. */
export function emittedEventsOf(firing: Firing): EmittedEvents {
  const events: WireEvent[] = [];
  const problems: string[] = [];
  for (const invocation of invocationsOf(firing)) {
    const { action } = invocation;
    if (action.type !== "emit-event") continue;
    try {
      const rendered = renderEvent(action, invocation, new Renderer(invocation), firing.triggered);
      if ("problem" in rendered) problems.push(rendered.problem);
      // The event about the firing, which it follows, is not part of a simulation, and must not be waited for.
      else events.push({ ...rendered.event, follows: null });
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      problems.push(error.message);
    }
  }
  return { events, problems };
}
