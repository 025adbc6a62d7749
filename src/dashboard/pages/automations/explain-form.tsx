/** Asks what an event did to the automation, or would do. */

import { type ReactNode, useState } from "react";
import { useAsk } from "../../data/queries.ts";
import { ExplanationView } from "../../parts/explanations.tsx";
import { EventLink } from "../../parts/links.tsx";
import { Card, Loaded } from "../../parts/page.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";

const defaults: UrlState<"explain"> = { explain: "" };

export function ExplainForm({ id }: { readonly id: string }): ReactNode {
  const [{ explain }, change] = useUrlState(defaults);
  const [written, setWritten] = useState(explain);
  return (
    <Card title="Explain">
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault();
          change({ explain: written.trim() });
        }}
      >
        <label className="field wide">
          Why did it fire, or not? The id of an event
          <input
            value={written}
            spellCheck={false}
            placeholder="6966a71e-d75c-4b52-83a2-fb03e82663ef"
            onChange={({ target }) => setWritten(target.value)}
          />
        </label>
        <button type="submit" disabled={written.trim() === ""}>
          Explain
        </button>
      </form>
      {explain === "" ? null : <Explained id={id} event={explain} />}
    </Card>
  );
}

function Explained({ id, event }: { readonly id: string; readonly event: string }): ReactNode {
  const asked = useAsk(["explanation", id, event], (tripline, signal) =>
    tripline.automations.explain(id, event, { signal }),
  );
  return (
    <Loaded asked={asked}>
      {(explanation) => (
        <>
          <p>
            <EventLink id={event}>{explanation.event.event}</EventLink>
          </p>
          <ExplanationView explanation={explanation} showsName={false} />
        </>
      )}
    </Loaded>
  );
}
