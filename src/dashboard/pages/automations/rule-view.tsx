/** A rule: what it means in plain words, beside its YAML. */

import { lazy, type ReactNode, Suspense } from "react";
import type { RuleWords } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { CopyButton } from "../../parts/code.tsx";
import { Card, Loaded } from "../../parts/page.tsx";

const Yaml = lazy(() => import("../../parts/yaml.tsx"));

export interface RuleViewProps {
  readonly id: string;
  /** When the automation last changed: then it is read again. */
  readonly changed: string;
  readonly about: ReactNode;
}

export function RuleView({ id, changed, about }: RuleViewProps): ReactNode {
  const asked = useAsk(
    ["rule", id, changed],
    (tripline, signal) => tripline.automations.rule(id, { signal }),
    {
      keepsPrevious: true,
    },
  );
  return (
    <div className="columns">
      <Card title="In plain words">
        <Loaded asked={asked}>{({ words }) => <Words words={words} />}</Loaded>
        {about}
      </Card>
      <Loaded asked={asked}>
        {({ yaml, file, line, origin }) => (
          <Card
            title="Rule"
            aside={
              <span className="row small">
                {origin === "file" && file !== null ? (
                  <code>{line === null ? file : `${file}:${line}`}</code>
                ) : (
                  <span className="muted">written from the definition</span>
                )}
                <CopyButton text={yaml} label="the rule" />
              </span>
            }
          >
            <Suspense fallback={<pre className="yaml">{yaml}</pre>}>
              <Yaml text={yaml} />
            </Suspense>
          </Card>
        )}
      </Loaded>
    </div>
  );
}

function Words({ words }: { readonly words: RuleWords }): ReactNode {
  return (
    <>
      <p className="summary">{words.summary}</p>
      <Details words={words} />
      {words.actions.length === 0 ? null : (
        <>
          <h3>When it fires</h3>
          <List lines={words.actions} />
        </>
      )}
      {words.actions_on_resolve.length === 0 ? null : (
        <>
          <h3>When the absence ends</h3>
          <List lines={words.actions_on_resolve} />
        </>
      )}
    </>
  );
}

function Details({ words }: { readonly words: Pick<RuleWords, "details" | "children"> }): ReactNode {
  return (
    <>
      <List lines={words.details} />
      {words.children === undefined || words.children.length === 0 ? null : (
        <ol className="parts">
          {words.children.map((child) => (
            <li key={child.summary}>
              {child.summary}
              <Details words={child} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

function List({ lines }: { readonly lines: readonly string[] }): ReactNode {
  return lines.length === 0 ? null : (
    <ul className="lines">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}
