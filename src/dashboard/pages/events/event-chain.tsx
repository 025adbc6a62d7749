/** The chain of an event: what it follows above it, what followed from it below. */

import type { ReactNode } from "react";
import type { EventChain, ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { EventLink, resourceId, resourceName } from "../../parts/links.tsx";
import { Card, Loaded } from "../../parts/page.tsx";
import { durationText, Time } from "../../parts/times.tsx";

/** Consequences come in the seconds after an event. */
const everyMs = 5_000;

export function EventChainView({ id }: { readonly id: string }): ReactNode {
  const asked = useAsk(["event-chain", id], (tripline, signal) => tripline.events.chain(id, { signal }), {
    everyMs,
  });
  return (
    <Card title="The chain">
      <Loaded asked={asked}>{(chain) => <Chain chain={chain} />}</Loaded>
    </Card>
  );
}

interface Branch {
  readonly event: ReceivedEvent;
  readonly isSelf: boolean;
  readonly children: readonly Branch[];
}

function Chain({ chain }: { readonly chain: EventChain }): ReactNode {
  const { event, ancestors, descendants, truncated } = chain;
  if (ancestors.length === 0 && descendants.length === 0)
    return <p className="muted">It follows no event, and none has followed it.</p>;
  const childrenOf = (parent: string): Branch[] =>
    descendants
      .filter((descendant) => descendant.parent === parent)
      .map((descendant) => ({
        event: descendant.event,
        isSelf: false,
        children: childrenOf(descendant.event.id),
      }));
  const self: Branch = { event, isSelf: true, children: childrenOf(event.id) };
  const root = ancestors
    .toReversed()
    .reduce<Branch>((child, ancestor) => ({ event: ancestor, isSelf: false, children: [child] }), self);
  return (
    <>
      <ul className="chain">
        <BranchView branch={root} since={null} />
      </ul>
      {truncated ? <p className="small muted">There is more than is shown.</p> : null}
    </>
  );
}

/** @param since when the event before it occurred */
function BranchView({
  branch,
  since,
}: {
  readonly branch: Branch;
  readonly since: string | null;
}): ReactNode {
  const { event, isSelf, children } = branch;
  const laterMs = since === null ? null : Date.parse(event.occurred) - Date.parse(since);
  return (
    <li>
      <span className={isSelf ? "chain-event self" : "chain-event"}>
        <Time at={event.occurred} as="clock-ms" />
        {isSelf ? <strong>{event.event}</strong> : <EventLink id={event.id}>{event.event}</EventLink>}
        <span className="muted">{resourceName(event.resource) ?? resourceId(event.resource)}</span>
        {laterMs === null || laterMs < 0 ? null : (
          <span className="small muted">+{durationText(laterMs)}</span>
        )}
      </span>
      {children.length === 0 ? null : (
        <ul>
          {children.map((child) => (
            <BranchView key={child.event.id} branch={child} since={event.occurred} />
          ))}
        </ul>
      )}
    </li>
  );
}
