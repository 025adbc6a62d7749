/** The open windows of an automation: what it waits for, for which key, and until when. */

import { type ReactNode, useDeferredValue } from "react";
import type { Window } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { Badge } from "../../parts/badge.tsx";
import { EventLink, KeyText } from "../../parts/links.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded } from "../../parts/page.tsx";
import { Table } from "../../parts/table.tsx";
import { Countdown, Time } from "../../parts/times.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";

const defaults: UrlState<"windows" | "silent"> = { windows: "", silent: "" };

const everyMs = 3_000;
const shownMax = 100;

export function OpenWindows({ id }: { readonly id: string }): ReactNode {
  const [{ windows: written, silent }, change] = useUrlState(defaults);
  const onlySilent = silent === "yes";
  const search = useDeferredValue(written.trim());
  const asked = useAsk(
    ["windows", id, search, onlySilent],
    (tripline, signal) =>
      tripline.automations.windows(id, {
        limit: shownMax,
        ...(search === "" ? {} : { search }),
        ...(onlySilent ? { unresolved: true } : {}),
        signal,
      }),
    { everyMs, keepsPrevious: true },
  );
  return (
    <Card
      title="Open windows"
      aside={
        <span className="row">
          <label className="row small">
            <input
              type="checkbox"
              checked={onlySilent}
              onChange={({ target }) => change({ silent: target.checked ? "yes" : "" })}
            />
            only what is silent
          </label>
          <input
            type="search"
            aria-label="Search the keys"
            placeholder="Search the keys"
            value={written}
            onChange={({ target }) => change({ windows: target.value })}
          />
        </span>
      }
      flush
    >
      <Loaded asked={asked}>
        {({ windows, count, as_of: asOf, automation }) => (
          <>
            {windows.length === 0 ? (
              <Empty>
                {search !== "" || onlySilent
                  ? "None of the open windows matches."
                  : !automation.enabled
                    ? "A paused automation has no windows."
                    : asOf === null
                      ? "No engine has taken it up yet."
                      : "No window is open: it waits for the first event."}
              </Empty>
            ) : (
              <Table
                label="Open windows, the next to be judged first"
                rows={windows}
                keyOf={({ trigger, labels }) => `${trigger} ${JSON.stringify(labels)}`}
                columns={columnsFor(windows)}
              />
            )}
            <p className="small muted table-note">
              {windows.length < count
                ? `The next ${shownMax} of ${countText(count)}. `
                : `${countOf(count, "window")}. `}
              {asOf === null ? null : (
                <>
                  As of <Time at={asOf} as="clock" />.
                </>
              )}
            </p>
          </>
        )}
      </Loaded>
    </Card>
  );
}

function columnsFor(windows: readonly Window[]) {
  const hasParts = windows.some(({ trigger }) => trigger !== "");
  return [
    { heading: "Key", kind: "title" as const, cell: ({ labels }: Window) => <KeyText labels={labels} /> },
    ...(hasParts
      ? [{ heading: "Trigger", cell: ({ trigger }: Window) => (trigger === "" ? "whole" : trigger) }]
      : []),
    { heading: "State", cell: (window: Window) => <WindowState window={window} /> },
    {
      heading: "Count",
      kind: "right" as const,
      cell: ({ count, threshold }: Window) => `${countText(count)} of ${countText(threshold)}`,
    },
    {
      heading: "Opened",
      cell: ({ start }: Window) => (start === null ? null : <Time at={start} as="ago" />),
    },
    {
      heading: "Judged in",
      kind: "right" as const,
      cell: ({ deadline }: Window) => (deadline === null ? null : <Countdown to={deadline} />),
    },
    {
      heading: "Last event",
      cell: ({ last_event: last }: Window) => (last === null ? null : <EventLink id={last}>show</EventLink>),
    },
  ];
}

function WindowState({ window }: { readonly window: Window }): ReactNode {
  const { unresolved, unreachable_since: unreachable, quiet_until: quiet, awaited, settling, gaps } = window;
  return (
    <span className="row">
      {unresolved ? <Badge tone="bad">silent</Badge> : null}
      {unreachable === null ? null : (
        <Badge tone="warn" title="Nobody has been able to post since then, so it is not judged">
          held since <Time at={unreachable} as="clock" />
        </Badge>
      )}
      {quiet === null ? null : (
        <Badge title="It has fired; earlier events do not count">
          quiet until <Time at={quiet} as="clock" />
        </Badge>
      )}
      {awaited.length === 0 ? null : <Badge tone="info">waits for {awaited.join(", ")}</Badge>}
      {settling === 0 ? null : <Badge>{countOf(settling, "event")} settling</Badge>}
      {gaps.length === 0 ? null : (
        <Badge title="Nobody could post for a while, so its end has moved">extended</Badge>
      )}
      {!unresolved && unreachable === null && quiet === null && awaited.length === 0 ? (
        <Badge tone="ok">open</Badge>
      ) : null}
    </span>
  );
}
