/** The fields that filter the event feed. */

import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { useAsk } from "../../data/queries.ts";
import type { UrlState } from "../../parts/url-state.ts";
import { conditionsOf, type FeedFields, feedDefaults, ranges, spanOf } from "./feed-filter.ts";

export interface FeedFiltersProps {
  readonly fields: UrlState<FeedFields>;
  readonly change: (changes: Partial<UrlState<FeedFields>>) => void;
}

type TextField = "event" | "resource" | "related" | "text";

const texts: readonly { readonly name: TextField; readonly label: string; readonly hint: string }[] = [
  { name: "event", label: "Event", hint: "job.failed, pump.*, -pump.beat" },
  { name: "resource", label: "Resource", hint: "service.shop, service.*, region=eu" },
  { name: "related", label: "Related resource", hint: "team.oncall, role=owner" },
  { name: "text", label: "Text", hint: "disk full, -test" },
];

export function FeedFilters({ fields, change }: FeedFiltersProps): ReactNode {
  const [written, setWritten] = useState(fields);
  useEffect(() => setWritten(fields), [fields]);
  const apply = (event?: FormEvent) => {
    event?.preventDefault();
    const { event: name, resource, related, text } = written;
    change({ event: name, resource, related, text });
  };
  const isFiltered = Object.entries(feedDefaults).some(
    ([name, value]) => fields[name as FeedFields] !== value,
  );
  return (
    <form className="filters" onSubmit={apply} role="search">
      {texts.map(({ name, label, hint }) => (
        <label key={name} className="field">
          {label}
          <input
            type="search"
            value={written[name]}
            placeholder={hint}
            spellCheck={false}
            autoComplete="off"
            list={name === "event" ? "event-names" : undefined}
            onChange={({ target }) => setWritten({ ...written, [name]: target.value })}
            onBlur={() => apply()}
          />
        </label>
      ))}
      <EventNames fields={fields} />
      <RangeFields fields={fields} change={change} />
      <div className="row">
        <button type="submit">Search</button>
        {isFiltered ? (
          <button type="button" className="plain" onClick={() => change(feedDefaults)}>
            Clear
          </button>
        ) : null}
      </div>
    </form>
  );
}

/** The names that are suggested: those of the events in the span. */
function EventNames({ fields }: { readonly fields: UrlState<FeedFields> }): ReactNode {
  const { data = [] } = useAsk(
    ["event-names", fields.range, fields.since, fields.until],
    async (tripline, signal) => {
      const { startMs, endMs } = spanOf(fields, Date.now());
      // A day is enough to suggest something, and quick to count.
      const since = new Date(Math.max(startMs, (endMs ?? Date.now()) - 86_400_000)).toISOString();
      const { event: _, ...others } = conditionsOf({ ...fields, event: "", text: "" });
      return tripline.events.count("event", { ...others, occurred: { since } }, { signal });
    },
  );
  return (
    <datalist id="event-names">
      {data.slice(0, 200).map(({ value, count }) => (
        <option key={value} value={value}>
          {count}
        </option>
      ))}
    </datalist>
  );
}

function RangeFields({ fields, change }: FeedFiltersProps): ReactNode {
  const isFixed = fields.since !== "" || fields.until !== "";
  if (!isFixed) {
    return (
      <label className="field">
        Time
        <select value={fields.range} onChange={({ target }) => change(rangeChange(target.value, fields))}>
          {Object.entries(ranges).map(([value, { name }]) => (
            <option key={value} value={value}>
              Last {name}
            </option>
          ))}
          <option value="custom">A span of time…</option>
        </select>
      </label>
    );
  }
  return (
    <>
      {(["since", "until"] as const).map((name) => (
        <label key={name} className="field">
          {name === "since" ? "From" : "To"}
          <input
            type="datetime-local"
            step="1"
            value={localText(fields[name])}
            onChange={({ target }) => change({ [name]: isoOf(target.value) })}
          />
        </label>
      ))}
      <button type="button" onClick={() => change({ since: "", until: "" })}>
        Back to live
      </button>
    </>
  );
}

/** What a choice changes: a span of time begins as what is shown now, and two fields for its ends appear. */
function rangeChange(range: string, fields: UrlState<FeedFields>): Partial<UrlState<FeedFields>> {
  if (range !== "custom") return { range };
  const now = Date.now();
  const { startMs } = spanOf(fields, now);
  return { since: new Date(startMs).toISOString(), until: new Date(now).toISOString() };
}

/** As the field for times takes it: in the viewer's time zone, without a zone. */
function localText(iso: string): string {
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) return "";
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function isoOf(local: string): string {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}
