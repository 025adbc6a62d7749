/** Why automations fired, or did not, in words. */

import type { ReactNode } from "react";
import type { Decision, ExplainedTrigger, Explanation, Window } from "../../client/types.ts";
import { Badge } from "./badge.tsx";
import { AutomationLink, KeyText } from "./links.tsx";
import { Time } from "./times.tsx";

export interface ExplanationViewProps {
  readonly explanation: Explanation;
  /** Left out on the page of the automation itself. */
  readonly showsName?: boolean;
}

/** What one event was to one automation: first the sentence, then, unfolded, where every trigger stood. */
export function ExplanationView({ explanation, showsName = true }: ExplanationViewProps): ReactNode {
  const { automation, summary, fired, triggers, complete, changed_since: changedSince } = explanation;
  const isCovered = triggers.some(({ covered }) => covered === true);
  return (
    <article className="explanation">
      <div className="row">
        {showsName ? <AutomationLink {...automation} /> : null}
        {fired ? (
          <Badge tone="bad">fired</Badge>
        ) : isCovered ? (
          <Badge tone="info">counted</Badge>
        ) : (
          <Badge>not covered</Badge>
        )}
      </div>
      <p>{summary}</p>
      {changedSince === null ? null : (
        <p className="small muted">
          The automation was changed <Time at={changedSince} as="ago" />; this is by its present definition.
        </p>
      )}
      {complete ? null : (
        <p className="small muted">What was read does not reach back to the creation of the automation.</p>
      )}
      <details>
        <summary>How it was judged</summary>
        {triggers.map((trigger) => (
          <TriggerView key={trigger.path} trigger={trigger} isNamed={triggers.length > 1} />
        ))}
      </details>
    </article>
  );
}

function TriggerView({
  trigger,
  isNamed,
}: {
  readonly trigger: ExplainedTrigger;
  readonly isNamed: boolean;
}): ReactNode {
  const { path, type, failed, decisions, missing, until, awaited, quiet_until: quietUntil } = trigger;
  return (
    <div className="trigger-view">
      {isNamed ? (
        <h3>
          {path === "" ? "The whole trigger" : `Trigger ${path}`} <span className="muted">({type})</span>
        </h3>
      ) : null}
      {failed === null ? null : <p>{failedText(failed)}</p>}
      {decisions.map((decision) => (
        <DecisionView key={`${decision.at} ${decision.outcome}`} decision={decision} />
      ))}
      {missing === null || missing === 0 ? null : (
        <p>
          Still missing: {missing}
          {awaited.length === 0 ? "" : ` (of ${awaited.join(", ")})`}
          {until === null ? ", without an end" : ", until "}
          {until === null ? null : <Time at={until} />}
        </p>
      )}
      {quietUntil === null ? null : (
        <p>
          Quiet until <Time at={quietUntil} />
        </p>
      )}
    </div>
  );
}

type FailedTest = NonNullable<ExplainedTrigger["failed"]>;

const conditionNames: Readonly<Record<FailedTest["condition"], string>> = {
  name: "The name of the event",
  match: "The resource",
  match_related: "The related resources",
};

/** Which condition an event did not meet. */
function failedText({ condition, label, wanted, found }: FailedTest): string {
  const what = label === null ? conditionNames[condition] : `${conditionNames[condition]}: ${label}`;
  const seen = found === null ? "has no such value" : `is ${JSON.stringify(found)}`;
  return `${what} ${seen}; wanted: ${wanted.join(", ") || "nothing"}`;
}

function DecisionView({ decision }: { readonly decision: Decision }): ReactNode {
  const { at, outcome, labels, before, after } = decision;
  return (
    <div className="small">
      <p>
        <Time at={at} as="clock-ms" />: {outcome} <KeyText labels={labels} />
      </p>
      {before === null && after === null ? null : (
        <dl className="fields">
          <dt>before</dt>
          <dd>
            <WindowText window={before} />
          </dd>
          <dt>after</dt>
          <dd>
            <WindowText window={after} />
          </dd>
        </dl>
      )}
    </div>
  );
}

/** A window in one line. */
function WindowText({ window }: { readonly window: Window | null }): ReactNode {
  if (window === null || (window.start === null && !window.unresolved)) return "no window";
  const { start, end, count, threshold, unresolved } = window;
  return (
    <>
      {start === null ? (
        "no window"
      ) : (
        <>
          <Time at={start} as="clock" /> to {end === null ? "no end" : <Time at={end} as="clock" />}: {count}{" "}
          of {threshold}
        </>
      )}
      {unresolved ? ", an absence is not over" : ""}
    </>
  );
}
