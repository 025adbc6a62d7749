/** Finds what an id belongs to: an automation, an event, a firing or a delivery. */

import { type FormEvent, type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";
import type { LookupMatch } from "../../client/types.ts";
import { useViewer } from "../data/session.tsx";

export function FindId(): ReactNode {
  const { tripline } = useViewer();
  const [, navigate] = useLocation();
  const [matches, setMatches] = useState<readonly LookupMatch[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const find = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const id = String(new FormData(form).get("id") ?? "").trim();
    setMatches(null);
    setProblem(null);
    if (id === "") return;
    try {
      const { matches: found } = await tripline.lookUp(id);
      const [only] = found;
      if (only !== undefined && found.length === 1) {
        navigate(pathOf(only));
        form.reset();
      } else setMatches(found);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <search className="find">
      <form onSubmit={find}>
        <input
          type="search"
          name="id"
          aria-label="Find by id or name"
          placeholder="Find by id or name"
          spellCheck={false}
          autoComplete="off"
        />
      </form>
      <div role="status" className="small">
        {problem}
        {matches?.length === 0 ? "Nothing has this id." : null}
        {matches?.map((match) => (
          <div key={`${match.kind} ${match.id}`}>
            <Link href={pathOf(match)} onClick={() => setMatches(null)}>
              {match.kind} {match.automation?.name ?? match.event?.event ?? match.id.slice(0, 8)}
            </Link>
          </div>
        ))}
      </div>
    </search>
  );
}

/** The page of what was found. A firing is shown by the event about it. */
function pathOf({ kind, id, firing_event_id: firingEventId }: LookupMatch): string {
  switch (kind) {
    case "automation":
      return `/automations/${id}`;
    case "delivery":
      return `/deliveries/${id}`;
    case "firing":
      return `/events/${firingEventId ?? id}`;
    case "event":
      return `/events/${id}`;
  }
}
