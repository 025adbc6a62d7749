import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Renderer } from "../../src/templates/renderer.ts";
import { parseTemplate, TemplateError, templateProblem } from "../../src/templates/template.ts";
import { invocationOf, pumpEvent, triggerFiring } from "../delivery/support.ts";
import fc from "../support/fast-check.ts";

function render(template: string, given: Parameters<typeof invocationOf>[1] = {}): string {
  return new Renderer(invocationOf({ type: "do-nothing" }, given)).text(template);
}

describe("a template", () => {
  test.each([
    ["{{ automation.name }}", "pump watch"],
    ["{{ event.event }} at {{ event.resource['prefect.resource.id'] }}", "pump.stopped at greenhouse.pump.1"],
    ["{{ event.resource.id }}{{ event.resource.role }}", "greenhouse.pump.1"], // as in Prefect's templates
    ["{{ labels.zone | upper }}", "NORTH"],
    ["{{ event.payload | tojson }}", '{"pressure":0.4}'],
    ["{{ event.payload.missing | default('none yet') }}", "none yet"],
    ["[{{ event.payload.missing }}{{ event.payload.no.such.thing }}]", "[]"],
    ["{{ firing.window.count + 1 }}", "4"],
    ["{% if event.payload.pressure < 1 %}low{% else %}fine{% endif %}", "low"],
    ["{% for e in events %}{{ loop.index }}:{{ e.event }}{% endfor %}", "1:pump.stopped"],
    ["{% for key, value in labels.items() %}{{ key }}={{ value }}{% endfor %}", "zone=north"],
    ["{{ firings | length }} {{ firings[0].trigger_states | join(', ') }}", "1 Triggered"],
    ["{{ events | map(attribute='resource.prefect.resource.id') | join }}", "greenhouse.pump.1"],
    ["{{ [3, 1, 2] | sort(reverse=true) | first }} {{ 7 // 2 }} {{ 3.14159 | round(2) }}", "3 3 3.14"],
    ["{{ 'a-b-c' | replace('-', '+', 1) }} {{ 'hello world' | title }}", "a+b-c Hello World"],
    ["{{ events | selectattr('event', 'eq', 'pump.stopped') | list | length }}", "1"],
    [
      "{% set ns = namespace(sum=0) %}{% for i in range(4) %}{% set ns.sum = ns.sum + i %}{% endfor %}{{ ns.sum }}",
      "6",
    ],
    ["{{ 'yes' if event is defined and 'zone' in event.resource else 'no' }}", "yes"],
    [
      "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
      "02",
    ],
    ["{% for e in [] %}{{ e }}{% else %}none{% endfor %}", "none"],
    ["{{ 'a' ~ 1 ~ none }} {{ true }} {{ [1, 'b'] }}", 'a1 true [1,"b"]'],
    // JSON's null is none: it is defined, but otherwise behaves like a missing value.
    [
      "{{ event.follows is none }} {{ event['follows'] is none }} {{ event.follows is defined }}",
      "true true true",
    ],
    ["{{ event.folows is none }} {{ event.folows is defined }}", "false false"],
    ["[{{ event.follows }}] [{{ event.follows | upper }}] {{ event.follows | default('no') }}", "[] [] no"],
    [
      "{{ event.follows == none }} {{ event.follows | length }} {{ 'x' if event.follows else 'y' }}",
      "true 0 y",
    ],
    ["{{ ('x\n' ~ 'y') | indent(1000000000) | length }}", "1003"],
    ["{{ 'abc' | truncate(event.follows) }} {{ 'a b' | indent(event.follows) }}", "abc a b"],
    ["[{{ event.payload.missing[:100] }}{{ event.follows[1:] }}{{ event.payload.a.b[::-1] }}]", "[]"],
    ["{{ range(event.follows) | length }}{{ 'a b'.split(' ', event.follows) | join('-') }}", "0a-b"],
  ])("%s renders as %s", (template, expected) => {
    expect(render(template)).toBe(expected);
  });

  test("sees the events at the leaves of a composite's firing, and its children as firings", () => {
    const [first, second] = [pumpEvent({ event: "door.opened" }), pumpEvent({ event: "door.closed" })];
    const children = [
      triggerFiring(first),
      triggerFiring(second, [triggerFiring(first), triggerFiring(second)]),
    ];
    const template = "{{ events | map(attribute='event') | join(' ') }}, {{ firings | length }}";
    expect(render(template, { children })).toBe("door.opened door.opened door.closed, 2");
  });

  test("renders without a triggering event", () => {
    expect(render("{{ event.event | default('silence') }}, {{ events | length }}", { event: null })).toBe(
      "silence, 0",
    );
  });
});

describe("a template is refused when it is loaded", () => {
  test.each([
    ["{{ evnt.id }}", "there is no evnt (did you mean event?)"],
    ["{{ event.id | uper }}", "there is no filter uper (did you mean upper?)"],
    ["{{ event.id | map('shout', evnt) }}", "there is no evnt"],
    ["{% if event is defind %}{% endif %}", "there is no test defind (did you mean defined?)"],
    ["{{ event.id.uper() }}", "there is no method uper"],
    ["{{ strftime_now('%Y') }}", "there is no function strftime_now"],
    ["{% if event %}", "is not closed"],
    ["{{ event.id", "cannot be read"],
    ["{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macros cannot be used"],
    [`{{ ${"(".repeat(9_000)}1${")".repeat(9_000)} }}`, "nested too deeply"],
    [`{{ ${"1 + ".repeat(4_000)}1 }}`, "nested too deeply"], // the parser reads a chain without recursion
    [`{{ 1 }}${" ".repeat(30_000)}`, "the limit is 20000"],
  ])("if it has a mistake: %.60s", (template, problem) => {
    expect(templateProblem(template)).toContain(problem);
  });

  test("with all its mistakes at once", () => {
    expect(templateProblem("{{ evnt.id | uper }} {{ fire() }} {{ evnt.payload }}")).toBe(
      "there is no evnt (did you mean event?); a template sees automation, event, labels, firing, firings, events " +
        "(column 4 of the template); there is no filter uper (did you mean upper?) (column 14 of the template); " +
        "there is no function fire (column 25 of the template)",
    );
  });

  test("but not for a reference to the environment, or a text that only looks odd", () => {
    expect(templateProblem("${env.TOKEN} {{ '${env.TOKEN}' }} $${env.TOKEN} } %} }}")).toBeNull();
  });
});

describe("a template reaches nothing but its context", () => {
  const payload = JSON.parse('{"__proto__": "a label like any other", "text": "t", "list": [1]}') as Record<
    string,
    unknown
  >;
  const given = { event: pumpEvent({ payload }) };

  test.each([
    "event.constructor",
    "event.payload.constructor",
    "event.payload.text.constructor",
    "event.payload.list.constructor",
    "event.payload['toString']",
    "event['__proto__']",
    "labels.hasOwnProperty",
    "labels.get('constructor')",
    "events | map(attribute='constructor') | first",
    "events | map(attribute='__proto__.constructor') | first",
    "loop",
    "range",
    "namespace().constructor",
    "dict().__proto__",
  ])("so %s is empty", (expression) => {
    let text: string;
    try {
      text = render(`{{ ${expression} }}`, given);
    } catch (error) {
      text = String(error);
      expect(text).toMatch(/there is no|has no/);
      return;
    }
    expect(text).toBe("");
  });

  test("but a label named __proto__ is a label like any other", () => {
    expect(render("{{ event.payload['__proto__'] }}", given)).toBe("a label like any other");
    expect(render("{{ {'__proto__': 1} | tojson }}", given)).toBe('{"__proto__":1}');
  });

  test.each([
    "{{ event.constructor.constructor('return process')() }}",
    "{{ ''.sub.call() }}",
    "{{ [].map(1) }}",
  ])("and %s does not run", (template) => {
    expect(() => render(template, given)).toThrow(TemplateError);
  });
});

describe("a template that does too much is stopped", () => {
  const doubling = "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}";
  test.each([
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for i in range(-1000000000, 1000000000) %}{% endfor %}",
    "{% for i in range(2000) %}{% for j in range(2000) %}{% endfor %}{% endfor %}",
    "{{ range(400000) | map('string') | join('------------------------') }}",
    `{% set ns = namespace(x='ab') %}${doubling}`,
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x == ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x }}",
    "{% set ns = namespace() %}{{ [ns, ns] }}",
    "{% set a = 'a' * 1000000000 %}",
    "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(9) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}{{ ns.x }}",
    "{% for i in range(200) %}{% for j in range(200) %}{{ event.payload.big in 'x' }}{{ 'zzz' in event.payload.big }}{% endfor %}{% endfor %}",
    "{% for i in range(3000) %}{{ event.payload.big }}{% endfor %}",
    "{% for i in range(3000) %}{{ event.payload.big | upper | length }}{% endfor %}",
    "{% for i in range(3000) %}{% if event.payload == event.payload %}{% endif %}{% endfor %}",
  ])("as in %s", (template) => {
    const given = { event: pumpEvent({ payload: { big: "b".repeat(100_000) } }) };
    const started = performance.now();
    expect(() => render(template, given)).toThrow(TemplateError);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test("even if it consists of many small ones", () => {
    const renderer = new Renderer(invocationOf({ type: "do-nothing" }));
    const small = "{% for i in range(20000) %}{% endfor %}";
    expect(renderer.text(small)).toBe("");
    const reasons = renderer.tree(Array(100).fill(small), "payload", ({ reason }) => reason) as string[];
    expect(reasons.at(-1)).toContain("the template does too much");
    expect(renderer.failures[0]).toMatchObject({ field: expect.stringMatching(/^payload\.\d+$/) });
    expect(renderer.failures).toHaveLength(20);
  });

  test("when its output is longer than two million characters", () => {
    const event = pumpEvent({ payload: { text: "t".repeat(500_000) } });
    const times = (count: number) => render("{{ event.payload.text }}".repeat(count), { event });
    expect(times(4)).toHaveLength(2_000_000);
    expect(() => times(5)).toThrow("the output of the template is longer than 2000000 characters");
  });

  // A paused process or a starved CPU would otherwise count as the template's own time.
  test("but never because the machine is slow", () => {
    const clock = vi.spyOn(performance, "now");
    onTestFinished(() => clock.mockRestore());
    let now = 0;
    clock.mockImplementation(() => (now += 60_000));
    expect(render("{% for i in range(5000) %}{% endfor %}done")).toBe("done");
  });

  test("but not for a large event as JSON", () => {
    const payload = { readings: Array.from({ length: 20_000 }, (_, index) => ({ index, value: index / 7 })) };
    const text = render("{{ event.payload | tojson }}", { event: pumpEvent({ payload }) });
    expect(JSON.parse(text)).toEqual(payload);
  });

  test("so that any template soon ends with a text or a TemplateError", () => {
    const piece = fc.constantFrom(
      ..."{{ |}}|{% |%}|for i in |range(|9|)|endfor|if |endif|set x = |x|event|labels|.|[|]|(|,|'a'| ~ | + |\\|join|\\|tojson|\\|sort|\\|map(|=|not |namespace()|{|}|:|1|0|-".split(
        /(?<!\\)\|/,
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const source = pieces.join(" ").replaceAll("\\", "");
        const started = performance.now();
        try {
          const context = {
            automation: {},
            event: { a: [1] },
            labels: {},
            firing: {},
            firings: [],
            events: [],
          };
          parseTemplate(source).render(context);
        } catch (error) {
          if (!(error instanceof TemplateError)) throw error;
        }
        expect(performance.now() - started).toBeLessThan(1_000);
      }),
      { numRuns: 3_000 },
    );
  });
});
