/** One automation: what it says, what it has seen and done, and what it waits for. */

import type { ReactNode } from "react";
import { Link } from "wouter";
import type { AutomationView } from "../../../client/types.ts";
import { useAsk, useChange } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { Badge, EnabledBadge } from "../../parts/badge.tsx";
import { ConfirmButton } from "../../parts/confirm.tsx";
import { Loaded, Page } from "../../parts/page.tsx";
import { Fields } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";
import { AutomationDeliveries, AutomationFirings } from "./automation-firings.tsx";
import { AutomationTimeline } from "./automation-timeline.tsx";
import { ExplainForm } from "./explain-form.tsx";
import { OpenWindows } from "./open-windows.tsx";
import { RuleView } from "./rule-view.tsx";

const everyMs = 5_000;

export default function AutomationPage({
  params: { id },
}: {
  readonly params: { readonly id: string };
}): ReactNode {
  const asked = useAsk(["automation", id], (tripline, signal) => tripline.automations.get(id, { signal }), {
    everyMs,
  });
  const may = useMay("automations:write");
  const mayReadEvents = useMay("events:read");
  const { data } = asked;
  return (
    <Page
      title={data?.name ?? "Automation"}
      badge={data === undefined ? null : <EnabledBadge enabled={data.enabled} />}
      lead={data?.description === "" ? undefined : data?.description}
      actions={
        data === undefined ? null : (
          <>
            <Link className="button" href={`/map?automation=${id}`}>
              On the map
            </Link>
            {may ? <Toggle automation={data} /> : null}
          </>
        )
      }
    >
      <Loaded asked={asked}>
        {(automation) => (
          <>
            <RuleView id={id} changed={automation.updated} about={<About automation={automation} />} />
            {mayReadEvents ? <AutomationTimeline id={id} /> : null}
            <OpenWindows id={id} />
            {mayReadEvents ? <AutomationFirings id={id} /> : null}
            <AutomationDeliveries id={id} />
            <ExplainForm id={id} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Toggle({ automation }: { readonly automation: AutomationView }): ReactNode {
  const { id, enabled, source } = automation;
  const pause = useChange((tripline) => tripline.automations.pause(id));
  const resume = useChange((tripline) => tripline.automations.resume(id));
  const isFile = source.kind === "file";
  if (enabled) {
    return (
      <ConfirmButton
        key="pause"
        label="Pause"
        title="Pause it?"
        onConfirm={() => pause.mutateAsync(undefined)}
      >
        It neither counts events nor fires until it is resumed, and its open windows are lost.
        {isFile
          ? " Its rule file says that it is enabled; a later change to the file does not resume it by itself."
          : ""}
      </ConfirmButton>
    );
  }
  return (
    <ConfirmButton
      key="resume"
      label="Resume"
      title="Resume it?"
      onConfirm={() => resume.mutateAsync(undefined)}
    >
      It starts without open windows: what happened meanwhile does not count.
    </ConfirmButton>
  );
}

function About({ automation }: { readonly automation: AutomationView }): ReactNode {
  const { id, tags, created, updated, source } = automation;
  return (
    <Fields
      fields={[
        ["Tags", tags.length === 0 ? null : tags.map((tag) => <Badge key={tag}>{tag}</Badge>)],
        ["Created", <Time key="created" at={created} />],
        ["Changed", created === updated ? null : <Time key="updated" at={updated} />],
        [
          "From",
          source.kind === "file"
            ? "a watched rule file; change it there"
            : source.applied === undefined
              ? "the API"
              : "tripline apply",
        ],
        ["Id", <code key="id">{id}</code>],
      ]}
    />
  );
}
