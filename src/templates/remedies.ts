/** What to write instead of what Jinja, Prefect or Python have and these templates do not. */

const sameEachTime = "the same firing renders the same text at each attempt";

const filterRemedies: Readonly<Record<string, string>> = {
  flow_run_id: 'take it from the label: event.resource.id.removeprefix("prefect.flow-run.")',
  humanize_intcomma: 'write "{:,}".format(…)',
  humanize_naturalsize: "write … | filesizeformat",
  humanize_naturaltime: `${sameEachTime}; subtract two times, or print one with strftime`,
  pprint: "write … | tojson(2)",
  random: `${sameEachTime}, so nothing is drawn; write … | first`,
  ui_resource_events_url: "write the address itself",
  ui_url: "write the address itself",
  urlize: "write the link itself",
  xmlattr: "write the attributes themselves",
};

const functionRemedies: Readonly<Record<string, string>> = {
  cycler: "write loop.cycle(…)",
  joiner: 'write … | join(", "), or {% if not loop.last %}',
  now: `${sameEachTime}; write firing.triggered`,
  utcnow: `${sameEachTime}; write firing.triggered`,
};

const methodRemedies: Readonly<Record<string, string>> = {
  add: "write a time of the event, or the difference of two",
  append: "lists do not change; write {% set ns.items = ns.items + [item] %} with a namespace",
  diff_for_humans: `${sameEachTime}; subtract two times, or print one with strftime`,
  encode: "write … | urlencode or … | tojson",
  extend: "lists do not change; write {% set ns.items = ns.items + other %} with a namespace",
  index: "write find(…)",
  pop: "mappings and lists do not change; write get(…), or an index",
  subtract: "write a time of the event, or the difference of two",
  time: 'write strftime("%H:%M:%S")',
  to_date_string: "write date()",
  to_datetime_string: 'write strftime("%Y-%m-%d %H:%M:%S")',
  to_iso8601_string: "print the time itself, or write isoformat()",
  update: "mappings do not change; write a namespace",
};

const testRemedies: Readonly<Record<string, string>> = {
  callable: "write is defined",
  escaped: "nothing is escaped by itself",
  filter: "a template with an unknown filter is refused",
  test: "a template with an unknown test is refused",
};

const remedies = {
  filter: filterRemedies,
  function: functionRemedies,
  method: methodRemedies,
  test: testRemedies,
} as const;

/** The end of a message about a name that does not exist: what to write instead; null if nothing is known. */
export function remedyFor(kind: keyof typeof remedies, name: string): string | null {
  const known = remedies[kind];
  if (Object.hasOwn(known, name)) return `; ${known[name]}`;
  return kind === "filter" && name.startsWith("humanize_") ? "; write strftime(…) or format(…)" : null;
}
