/** What can never render, or would always print nothing, is found when a rule is loaded. */

import { describe, expect, test } from "vitest";
import { hookContextNames } from "../../src/core/model/hook.ts";
import { evaluateTemplate } from "../../src/templates/evaluator.ts";
import { parse } from "../../src/templates/parser.ts";
import { Renderer } from "../../src/templates/renderer.ts";
import { templateProblem } from "../../src/templates/template.ts";
import { Budget, type Value } from "../../src/templates/values.ts";
import { invocationOf, pumpEvent } from "../delivery/support.ts";
import fc from "../support/fast-check.ts";

const related = [
  { "prefect.resource.id": "team.web", "prefect.resource.role": "team" },
  { "prefect.resource.id": "host.db1", "prefect.resource.role": "host" },
];

function render(template: string): string {
  const event = pumpEvent({
    related,
    payload: { pressure: 0.4, started: "2026-03-01T11:59:00Z", tags: { a: 1 } },
  });
  return new Renderer(invocationOf({ type: "do-nothing" }, { event })).text(template);
}

describe("a template is refused", () => {
  test.each([
    [
      "{% for a, b, c in event.resource %}{% endfor %}",
      "a pair of key and value cannot be assigned to 3 names",
    ],
    ["{% for a, b in automation.tags %}{% endfor %}", "a text cannot be assigned to 2 names"],
    ["{% for a, b in event.related %}{% endfor %}", "a mapping cannot be assigned to 2 names"],
    ["{% for x in firing.window.count %}{% endfor %}", "a loop needs a list, not a number"],
    ["{{ event.occurred + 60 }}", "+ cannot be applied to a time and a number; two times can be subtracted"],
    ["{{ 60 + event.received }}", "+ cannot be applied to a number and a time"],
    ["{{ event.occurred * 2 }}", "* cannot be applied to a time and a number"],
    ["{{ event.id - event.id }}", "- cannot be applied to an id and an id"],
    ["{{ event.event + firing.window.count }}", "use ~ to join texts"],
    ["{{ event.payload.a / 0 }}", "division by zero"],
    ["{{ event.id | round }}", "round needs a number, not an id; convert it with the filter int or float"],
    ["{{ event.resource.size | round }}", "round needs a number, not a text"],
    ["{{ event.related | abs }}", "abs needs a number, not a list"],
    ["{{ firing.window.count | join }}", "join needs a list, not a number"],
    ["{{ automation.tags | items }}", "items needs a mapping, not a list"],
    ["{{ automation.tags | sum }}", "sum needs numbers, not a text"],
    ["{{ automation.tags | map('round') }}", "round needs a number, not a text"],
    ["{{ automation.tags | map('shout') }}", "there is no filter shout"],
    ["{{ event.related | selectattr('role', 'equals', 'host') }}", "there is no test equals"],
    ["{{ events | map(attribute='ocurred') }}", "event has no ocurred (did you mean occurred?)"],
    ["{{ event.related | strftime('%H') }}", "strftime needs a time, not a list"],
    ["{{ event.id.strftime('%H') }}", "strftime needs a time, not an id"],
    ["{{ event.occurred | in_timezone('Europe/Berln') }}", 'there is no time zone "Europe/Berln"'],
    ["{{ event.occurred.strftime('%H', 'Mars') }}", 'there is no time zone "Mars"'],
    ["{{ event.occurred | truncate(1, 2, 3, 4, 5) }}", "truncate takes length, killwords, end, leeway"],
    ["{{ event.event | upper(loud=true) }}", "upper takes no arguments, not loud"],
    ["{{ -event.event }}", "- needs a number, not a text"],
    ["{{ event.event > 5 }}", "a text and a number cannot be compared"],
    ["{{ 1 < automation.tags }}", "a number and a list cannot be compared"],
    ["{{ event.occurred.yeer }}", "a time has no attribute yeer (did you mean year?)"],
    ["{{ event.occurred.isoformat }}", "it is a method: write isoformat()"],
    ["{{ event.resource.items }}", "items is a method: write items()"],
    ["{{ labels.values }}", "values is a method: write values()"],
    ["{{ event.related.id }}", 'take it from each item: … | map(attribute="id")'],
    ["{{ automation.tags.length }}", "use the filter: … | length"],
    ["{{ automation.tags.append(1) }}", "there is no method append"],
    ["{{ event.related.items() }}", "a list has no method items; use the filter: … | items"],
    ["{{ firing.window.count.upper() }}", "a number has no method upper; use the filter: … | upper"],
    ["{{ event.ocurred }}", "event has no ocurred (did you mean occurred?)"],
    ["{{ event['paylod'] }}", "event has no paylod"],
    ["{{ firing.window.cont }}", "firing.window has no cont (did you mean count?)"],
    ["{{ firing.triggering_event.name }}", "event has no name; it has occurred"],
    ["{{ firings[0].lable }}", "firing has no lable"],
    ["{% for e in events %}{{ loop.indx }}{% endfor %}", "loop has no indx (did you mean index?)"],
    ["{% set e = event %}{{ e.idd }}", "event has no idd"],
    ["{% with e = event %}{{ e.idd }}{% endwith %}", "event has no idd"],
    ["{{ firing.window.count[1:] }}", "a number cannot be sliced"],
    ["{{ dict(1) }}", "dict takes only arguments of the form name=value"],
  ])("%s", (template, problem) => {
    expect(templateProblem(template)).toContain(problem);
  });

  test("with the line and the column of each mistake", () => {
    const template = "{% if event %}\n  {{ event.idd }} and\n  {{ event.id | round }}\n{% endif %}";
    expect(templateProblem(template)).toBe(
      "event has no idd (did you mean id?) (line 2, column 12 of the template); round needs a number, not an id; " +
        "convert it with the filter int or float (line 3, column 17 of the template)",
    );
  });

  test("in a hook, whose variables have shapes of their own", () => {
    expect(templateProblem("{{ received | round }}", hookContextNames)).toContain("round needs a number");
    expect(
      templateProblem("{{ body.a.b | round }} {{ headers['x-id'] | int }}", hookContextNames),
    ).toBeNull();
  });
});

describe("a template renders", () => {
  test.each([
    [
      "{% for label, value in event.resource %}{{ label }}={{ value }};{% endfor %}",
      "prefect.resource.id=greenhouse.pump.1;zone=north;",
    ],
    ["{% for label, value in labels %}{{ label }}={{ value }}{% endfor %}", "zone=north"],
    ["{% for key, value in event.payload.tags %}{{ key }}{{ value }}{% endfor %}", "a1"],
    ["{% for key in labels %}{{ key }}{% endfor %}", "zone"],
    ["{% for a, b in labels | dictsort %}{{ a }}{{ b }}{% endfor %}", "zonenorth"],
    ["{{ event.related | map(attribute='id') | join(',') }}", "team.web,host.db1"],
    ["{{ event.related | selectattr('role', 'eq', 'host') | map(attribute='id') | first }}", "host.db1"],
    ["{{ event.resource_in_role.team.id }} {{ event.resource_in_role['team'].role }}", "team.web team"],
    ["[{{ event.resource_in_role.owner.id }}]", "[]"],
    ["{{ event.resources_in_role.host | length }} {{ event.involved_resources | length }}", "1 3"],
    ["{{ event.resource.prefect.resource.id }} {{ event.resource.labels.zone }}", "greenhouse.pump.1 north"],
    ["{{ event.occurred.year }}-{{ event.occurred.month }} {{ event.payload.started.minute }}", "2026-3 59"],
    [
      "{{ event.occurred - event.payload.started }} {{ (event.received - event.occurred).total_seconds() }}",
      "60 0",
    ],
    ["{{ event.occurred | strftime('%d %B %Y, %H:%M:%S %Z') }}", "01 March 2026, 12:00:00 UTC"],
    ["{{ event.occurred | in_timezone('America/New_York') }}", "2026-03-01T07:00:00-05:00"],
    ["{{ event.payload.missing > 1 }} {{ event.payload.missing < 1 }} {{ 1 >= none }}", "false false false"],
    [
      "[{{ event.payload.missing * 2 + 1 }}{{ event.payload.missing | round }}{{ -event.payload.missing }}]",
      "[]",
    ],
    ["{{ [3, none, 1] | sort }} {{ [none, 3, 1] | max }} {{ [1, none] | sum }}", "[1,3,null] 3 1"],
    ["{{ '😀🌱x'[:1] | urlencode }} {{ '😀🌱x'[1] }} {{ '😀🌱x'[::-1] }}", "%F0%9F%98%80 🌱 x🌱😀"],
    ["{{ '\\ud83d' | urlencode }} {{ {'\\ud83d': '\\ud83d'} | urlencode }}", "%EF%BF%BD %EF%BF%BD=%EF%BF%BD"],
    ["{% raw %}{{ x }} {% if %}{% endraw %}", "{{ x }} {% if %}"],
    ["{{ '{:%d.%m. %H:%M}|{:>4}'.format(event.occurred, none) }}", "01.03. 12:00|    "],
    ["{{ 6 is divisibleby(3) }} {{ 3 is not eq 4 }} {{ 'a' is in ['a'] }}", "true true true"],
    ["{{ 1 < 2 <= 2 }} {{ 3 > 2 > 2 }}", "true false"],
    ["{{ event.url | default('none here') }} {{ event.url is defined }}", "none here false"],
    ["{{ event.payload.items }}{{ event.payload.anything.at.all }}", ""],
    ["{% if event.payload.a %}{% set event = 'x' %}{% endif %}{{ event.anything }}", ""],
  ])("%s", (template, text) => expect(render(template)).toBe(text));
});

// A check that cries wolf would keep a good rule out.
test("no template that renders for an event is refused for its types", () => {
  const path = fc.constantFrom(
    ..."event.id event.event event.occurred event.resource event.resource.zone event.related event.payload event.payload.pressure event.follows labels labels.zone automation.tags automation.name firing.window firing.window.count firings events firing.late 1 'a' [1] {'a':1} true 2.5 (1,'b') '%s' '{}' []".split(
      " ",
    ),
  );
  const filter = fc.constantFrom(
    ..."upper length first last list round abs int float items keys values join sort sum max min reverse tojson trim urlencode string unique dictsort title wordcount default('a') default([]) batch(2) slice(2) filesizeformat format wordwrap(5) map('string') map('first') map('length') map('default','x') sum(start=[]) groupby(0) indent center(9) truncate(3) select('odd') select round(-1) int(0,16)".split(
      " ",
    ),
  );
  const operator = fc.constantFrom(..."+ - * ~ < >= == in % ** //".split(" "));
  const method = fc.constantFrom(
    ..."upper() split() splitlines() count('a') find('a') isdigit() partition('.') title() items() keys() strip() startswith(['a','s']) zfill(3)".split(
      " ",
    ),
  );
  const test = fc.constantFrom(
    ..."odd even divisibleby(2) gt(3) le('a') defined none string sequence lower sameas(1) in([1]) iterable".split(
      " ",
    ),
  );
  const expression = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      path,
      fc.tuple(tie("any"), filter).map(([operand, name]) => `(${operand} | ${name})`),
      fc.tuple(tie("any"), operator, tie("any")).map(([left, sign, right]) => `(${left} ${sign} ${right})`),
      fc.tuple(tie("any"), method).map(([object, name]) => `(${object}).${name}`),
      fc.tuple(tie("any"), test).map(([operand, name]) => `(${operand} is ${name})`),
      fc.tuple(tie("any"), fc.constantFrom("[::-1]", "[:3]")).map(([object, key]) => `(${object})${key}`),
      fc.constantFrom("event.related[0]", "firings[0]", "automation.tags[0]", "event.event[0]", "[[1]][0]"),
    ),
  })).any;
  fc.assert(
    fc.property(expression, (source) => {
      const problem = templateProblem(`{{ ${source} }}`);
      if (problem === null) return;
      // What the check refuses fails, or prints nothing: rendered without the check, over this event.
      expect(() => renderUnchecked(source)).toThrow();
    }),
    { numRuns: 2_000 },
  );
});

/** Renders an expression without checking it. */
function renderUnchecked(source: string): void {
  const follows = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
  const event = pumpEvent({ related, follows, payload: { pressure: 0.4 } });
  const { automation, firing } = invocationOf({ type: "do-nothing" }, { event });
  const { triggering_event: received, triggering_labels: labels } = firing;
  const values = {
    automation: { ...automation, tags: ["pumps"] },
    event: received,
    labels,
    firing,
    firings: [firing],
    events: [received],
  };
  const context = new Map(Object.entries(values) as [string, Value][]);
  evaluateTemplate(parse(`{{ ${source} }}`).body, context, new Budget());
}
