/** What is found in the rules: mistakes, warnings, and the results of the cases beside them. */

import type { ReactNode } from "react";
import type { Rules } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { Badge } from "../../parts/badge.tsx";
import { Code } from "../../parts/code.tsx";
import { AutomationLink } from "../../parts/links.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page } from "../../parts/page.tsx";
import { Fields, Table } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";

const everyMs = 4_000;

export default function RulesPage(): ReactNode {
  const asked = useAsk(["rules"], (tripline, signal) => tripline.automations.rules({ signal }), { everyMs });
  return (
    <Page title="Rules" lead="What tripline check and tripline test say about the rules that run now.">
      <Loaded asked={asked}>
        {(report) => (
          <>
            <Verdict report={report} />
            {report.mistakes.length === 0 ? null : <Mistakes report={report} />}
            <Warnings report={report} />
            <Tests report={report} />
            {report.files.length === 0 ? null : <Files report={report} />}
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Verdict({ report }: { readonly report: Rules }): ReactNode {
  const { in_effect: inEffect, mistakes, warnings, tests, checked, paths, pending } = report;
  const failed = (tests?.failed ?? 0) + (tests?.mistakes.length ?? 0);
  const isGood = mistakes.length === 0 && failed === 0;
  return (
    <section
      className={`verdict ${!isGood ? "bad" : warnings.length > 0 ? "warn" : "ok"}`}
      aria-label="How the rules are"
    >
      <p>
        <strong>
          {mistakes.length > 0
            ? `${countOf(mistakes.length, "mistake")} in the files`
            : failed > 0
              ? `${countOf(failed, "case")} failed`
              : warnings.length > 0
                ? countOf(warnings.length, "warning")
                : "No mistakes, no warnings."}
        </strong>{" "}
        {inEffect ? "" : "The files are not in effect: the rules that were applied before them still are."}
        {pending ? " The check is not complete yet." : ""}
      </p>
      {checked === null ? null : (
        <p className="small">
          {paths.join(", ")} loaded <Time at={checked} as="ago" />
        </p>
      )}
    </section>
  );
}

function Mistakes({ report }: { readonly report: Rules }): ReactNode {
  return (
    <Card title="Mistakes" flush>
      <Table
        label="Mistakes"
        rows={report.mistakes}
        keyOf={({ file, line, column, message }) => `${file}:${line}:${column} ${message}`}
        columns={[
          {
            heading: "Place",
            kind: "title",
            cell: ({ file, line, column }) => <code>{placeText(file, line, column)}</code>,
          },
          { heading: "Mistake", cell: ({ message }) => message },
        ]}
      />
      <LeftOut count={report.left_out.mistakes} />
    </Card>
  );
}

function placeText(file: string | null, line: number, column: number): string {
  if (file === null) return `line ${line}`;
  return line === 0 ? file : `${file}:${line}:${column}`;
}

function Warnings({ report }: { readonly report: Rules }): ReactNode {
  const { warnings, left_out: leftOut } = report;
  return (
    <Card
      title="Warnings"
      aside={<span className="small muted">valid, but almost certainly a mistake</span>}
      flush
    >
      {warnings.length === 0 ? (
        <Empty>None.</Empty>
      ) : (
        <Table
          label="Warnings"
          rows={warnings}
          keyOf={({ file, line, column, code, reason }) => `${file}:${line}:${column} ${code} ${reason}`}
          columns={[
            {
              heading: "Automation",
              kind: "title",
              cell: ({ automation }) => (automation === null ? null : <AutomationLink {...automation} />),
            },
            { heading: "Code", cell: ({ code }) => <Badge tone="warn">{code}</Badge> },
            {
              heading: "Warning",
              cell: ({ reason, fix }) => (
                <>
                  {sentence(reason)}
                  <div className="small muted">{sentence(fix)}</div>
                </>
              ),
            },
            {
              heading: "Place",
              cell: ({ file, line, column }) => <code>{placeText(file, line, column)}</code>,
            },
          ]}
        />
      )}
      <LeftOut count={leftOut.warnings} />
    </Card>
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

function Tests({ report }: { readonly report: Rules }): ReactNode {
  const { tests } = report;
  if (tests === null) {
    return (
      <Card title="Cases">
        <p className="muted">
          There are no cases beside the rules. Those for <code>pump.yaml</code> belong into{" "}
          <code>pump.test.yaml</code>; they run in virtual time whenever the rules are loaded.
        </p>
      </Card>
    );
  }
  const { passed, failed, ran, duration_ms: ms, cases, mistakes, not_run: notRun } = tests;
  return (
    <Card
      title="Cases"
      aside={
        <span className="small muted">
          ran <Time at={ran} as="ago" />, in {durationText(ms)}
        </span>
      }
    >
      <p className="row">
        <Badge tone="ok">{countText(passed)} passed</Badge>
        {failed === 0 ? null : <Badge tone="bad">{countText(failed)} failed</Badge>}
        {notRun === 0 ? null : (
          <Badge tone="warn">{countText(notRun)} not run, as all would take too long</Badge>
        )}
      </p>
      {mistakes.map(({ file, line, column, message }) => (
        <p key={`${file}:${line}:${column} ${message}`} className="problem">
          <code>{placeText(file, line, column)}</code> {message}
        </p>
      ))}
      {cases.map(({ file, line, name, passed: isPassed, report: text }) =>
        isPassed ? null : (
          <details key={`${file}:${line}`} open>
            <summary>
              ✗ {name} <code>{`${file}:${line}`}</code>
            </summary>
            <Code text={text} label={`what differs in ${name}`} />
          </details>
        ),
      )}
      <details>
        <summary>All that passed</summary>
        <ul className="lines">
          {cases.map(({ file, line, name, passed: isPassed }) =>
            isPassed ? (
              <li key={`${file}:${line}`}>
                {name} <code className="muted">{`${file}:${line}`}</code>
              </li>
            ) : null,
          )}
        </ul>
      </details>
    </Card>
  );
}

function Files({ report }: { readonly report: Rules }): ReactNode {
  return (
    <Card title="Files">
      <Fields
        fields={report.files.map(({ file, automations }) => [file, countOf(automations, "automation")])}
      />
      <LeftOut count={report.left_out.files} />
    </Card>
  );
}

function LeftOut({ count }: { readonly count: number }): ReactNode {
  return count === 0 ? null : <p className="small muted table-note">And {countText(count)} more.</p>;
}
