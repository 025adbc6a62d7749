/** What to do on an empty installation: post an event, and see it arrive. */

import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import type { EventFilter } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { useViewer } from "../../data/session.tsx";
import { Code } from "../../parts/code.tsx";
import { EventLink } from "../../parts/links.tsx";
import { Card } from "../../parts/page.tsx";
import { Time } from "../../parts/times.tsx";

/** Events that people post: not those with which Tripline reports its own doings. */
export const postedEvents: EventFilter = { event: { exclude_prefix: ["prefect-cloud.", "tripline."] } };

const everyMs = 1_000;

export function FirstSteps(): ReactNode {
  const { session } = useViewer();
  const [command] = useState(() => commandFor(session.key_required));
  const latest = useAsk(
    ["first-events"],
    (tripline, signal) => tripline.events.page(postedEvents, { limit: 5, signal }),
    {
      everyMs,
    },
  );
  const events = latest.data?.events ?? [];
  return (
    <Card title="First steps">
      <p>Nothing has happened here yet. Post an event; it appears below at once:</p>
      <Code text={command} label="the command" />
      <div role="status">
        {events.length === 0 ? (
          <p className="muted">Waiting for the first event…</p>
        ) : (
          <ul className="plain-list">
            {events.map(({ id, event, occurred }) => (
              <li key={id}>
                <Time at={occurred} as="clock" /> <EventLink id={id}>{event}</EventLink>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p className="small">
        Open the event to see what the <Link href="/automations">automations</Link> made of it. Their rules
        are YAML files; a server that runs on this machine reads those in <code>rules/</code>.
      </p>
    </Card>
  );
}

/** A command that works as it is. */
function commandFor(needsKey: boolean): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  const event = {
    id,
    occurred: new Date().toISOString(),
    event: "job.failed",
    resource: { "prefect.resource.id": "job.nightly-backup" },
    payload: { reason: "disk full" },
  };
  const key = needsKey ? ` \\\n  -H "Authorization: Bearer $TRIPLINE_API_KEY"` : "";
  return `curl -i ${new URL("api/events", document.baseURI).href} \\
  -H 'Content-Type: application/json'${key} \\
  -d '[${JSON.stringify(event)}]'`;
}
