/** All automations: which are in force, when each last fired, and what it waits for. */

import type { ReactNode } from "react";
import type { AutomationSummary } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { Badge, EnabledBadge, FiringBadge } from "../../parts/badge.tsx";
import { AutomationLink } from "../../parts/links.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page } from "../../parts/page.tsx";
import { Pager } from "../../parts/pager.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";

type ListedFields = "search" | "tag" | "state" | "sort" | "offset";

const defaults: UrlState<ListedFields> = { search: "", tag: "", state: "", sort: "name", offset: "0" };

const sorts = {
  name: "Name",
  silent: "Silent now",
  fired: "Last fired",
  firings: "Firings in 24 hours",
  open: "Open windows",
  failed: "Failed deliveries",
} as const;

type Sort = keyof typeof sorts;

const everyMs = 5_000;
const pageSize = 100;

export default function AutomationList(): ReactNode {
  const [fields, change] = useUrlState(defaults);
  const offset = Math.max(0, Number.parseInt(fields.offset, 10) || 0);
  const sort = Object.hasOwn(sorts, fields.sort) ? (fields.sort as Sort) : "name";
  const asked = useAsk(
    ["automations", fields],
    (tripline, signal) =>
      tripline.automations.summaries({
        search: fields.search,
        sort,
        offset,
        limit: pageSize,
        ...(fields.tag === "" ? {} : { tag: fields.tag }),
        ...(fields.state === "enabled" || fields.state === "paused" ? { state: fields.state } : {}),
        signal,
      }),
    { everyMs, keepsPrevious: true },
  );
  return (
    <Page
      title="Automations"
      lead="What is watched for, and what follows when it happens, or when it does not."
    >
      <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label className="field">
          Search
          <input
            type="search"
            value={fields.search}
            placeholder="a name, a file, an event"
            onChange={({ target }) => change({ search: target.value, offset: "0" })}
          />
        </label>
        <label className="field">
          Tag
          <select value={fields.tag} onChange={({ target }) => change({ tag: target.value, offset: "0" })}>
            <option value="">All</option>
            {(asked.data?.tags ?? []).map(({ tag, count }) => (
              <option key={tag} value={tag}>
                {tag} ({count})
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          State
          <select
            value={fields.state}
            onChange={({ target }) => change({ state: target.value, offset: "0" })}
          >
            <option value="">All</option>
            <option value="enabled">Enabled</option>
            <option value="paused">Paused</option>
          </select>
        </label>
        <label className="field">
          First
          <select value={sort} onChange={({ target }) => change({ sort: target.value, offset: "0" })}>
            {Object.entries(sorts).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </form>
      <Card flush>
        <Loaded asked={asked}>
          {({ automations, total, matching, next_offset: next }) => (
            <>
              {automations.length === 0 ? (
                <Empty>
                  {total === 0 ? (
                    <>
                      There are no automations. Write one into a file of <code>rules/</code>, or send it with{" "}
                      <code>tripline apply</code>.
                    </>
                  ) : (
                    "None of them matches."
                  )}
                </Empty>
              ) : (
                <Table label="Automations" rows={automations} keyOf={({ id }) => id} columns={columns} />
              )}
              <Pager
                offset={offset}
                count={automations.length}
                total={matching}
                next={next}
                pageSize={pageSize}
                onOffset={(chosen) => change({ offset: String(chosen) })}
              />
            </>
          )}
        </Loaded>
      </Card>
    </Page>
  );
}

const columns = [
  {
    heading: "Name",
    kind: "title",
    cell: ({ id, name, description, enabled, tags }: AutomationSummary) => (
      <>
        <span className="row">
          <AutomationLink id={id} name={name} />
          {enabled ? null : <EnabledBadge enabled={false} />}
          {tags.map((tag) => (
            <Badge key={tag}>{tag}</Badge>
          ))}
        </span>
        {description === "" ? null : <div className="small muted">{description}</div>}
      </>
    ),
  },
  {
    heading: "Last fired",
    cell: ({ last_fired: at, last_state: state }: AutomationSummary) =>
      at === null || state === null ? (
        <span className="muted">never</span>
      ) : (
        <span className="row">
          <Time at={at} as="ago" /> {state === "Resolved" ? <FiringBadge state="Resolved" /> : null}
        </span>
      ),
  },
  {
    heading: "24 hours",
    cell: ({ firings }: AutomationSummary) => <Sparkline values={firings} label="firings in 24 hours" />,
  },
  {
    heading: "Windows",
    kind: "right",
    cell: ({ open_windows: open, unresolved }: AutomationSummary) => (
      <>
        {open === null ? "?" : countText(open)}
        {unresolved === null || unresolved === 0 ? null : (
          <div>
            <Badge tone="bad">{countText(unresolved)} silent</Badge>
          </div>
        )}
      </>
    ),
  },
  {
    heading: "Deliveries",
    kind: "right",
    cell: ({ executed, failed }: AutomationSummary) => (
      <>
        {countText(executed)}
        {failed === 0 ? null : (
          <div>
            <Badge tone="bad">{countOf(failed, "failed", "failed")}</Badge>
          </div>
        )}
      </>
    ),
  },
  {
    heading: "Source",
    cell: ({ file, line }: AutomationSummary) =>
      file === null ? (
        <span className="muted">API</span>
      ) : (
        <code>{line === null ? file : `${file}:${line}`}</code>
      ),
  },
] as const;
