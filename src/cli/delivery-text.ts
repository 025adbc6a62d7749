/** Deliveries in words: their states, and what Tripline's own events say about them. */

import type { ReceivedEvent } from "../client/index.ts";
import type { Style } from "./output/style.ts";
import { type TableColumn, table } from "./output/table.ts";
import { shortId } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

/** What Tripline did: firings, resolutions, and actions with their results, in order. */
export function consequencesText(events: readonly ReceivedEvent[], view: View): string {
  const columns: TableColumn<ReceivedEvent>[] = [
    { heading: "TIME", cell: ({ occurred }) => timeText(occurred, view), widthMin: 8 },
    {
      heading: "AUTOMATION",
      cell: ({ resource }) => resource["prefect.resource.name"] ?? "-",
      widthMin: 14,
    },
    { heading: "WHAT", cell: consequenceText, style: styleOf, widthMin: 16 },
    { heading: "ID", cell: (event) => (view.brief ? shortId(idOf(event)) : idOf(event)), style: () => "dim" },
  ];
  return table(columns, events, view);
}

function consequenceText({ event, payload }: ReceivedEvent): string {
  const what = event.replace(/^prefect-cloud\.automation\./, "");
  if (!what.startsWith("action.")) return what === "triggered" ? "fired" : what;
  const { action_type: type, attempts, status_code: status, reason } = payload;
  const result = [
    ...(status === undefined || reason !== undefined ? [] : [`status ${status}`]),
    ...(attempts === undefined ? [] : [attempts === 1 ? "1 attempt" : `${attempts} attempts`]),
    ...(reason === undefined ? [] : [String(reason)]),
    ...(payload["template_failures"] === undefined ? [] : ["plain, because its template failed"]),
  ].join(", ");
  const state = { triggered: "started", executed: "delivered", failed: "failed" }[
    what.slice("action.".length)
  ];
  return `${type} ${state ?? what}${result === "" ? "" : `: ${result}`}`;
}

function styleOf({ event }: ReceivedEvent): Style | null {
  if (event.endsWith(".action.failed")) return "red";
  return event.endsWith(".action.executed") ? "green" : null;
}

/** The id of the delivery, where the event is about one: it says more than that of the event. */
function idOf({ id, payload }: ReceivedEvent): string {
  return typeof payload["invocation"] === "string" ? payload["invocation"] : id;
}
