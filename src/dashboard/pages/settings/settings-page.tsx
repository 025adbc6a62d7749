/** The server itself: what is wrong with it, what it runs with, and who may use it. */

import type { ReactNode } from "react";
import type { ServerSettings } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { useMay, useViewer } from "../../data/session.tsx";
import { Badge, type BadgeTone } from "../../parts/badge.tsx";
import { countText } from "../../parts/numbers.ts";
import { Card, Loaded, Page } from "../../parts/page.tsx";
import { ShardList } from "../../parts/shard-list.tsx";
import { Fields, Table } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";
import { ApiKeyList } from "./api-keys.tsx";

export default function SettingsPage(): ReactNode {
  const isAdmin = useMay("admin");
  const mayRead = useMay("automations:read");
  const { session } = useViewer();
  return (
    <Page
      title="Settings"
      lead="The server itself: what is wrong with it, what it runs with, and who may use it."
    >
      {isAdmin ? (
        <>
          <Doctor />
          {mayRead ? <ShardList /> : null}
          <ApiKeyList />
          <ServerCards />
        </>
      ) : (
        <>
          <Card>
            <p>
              Your key is {session.key?.name ?? "missing"}, for the workspace {session.workspace}, with the
              scopes {session.scopes.join(", ")}. The settings of the server need a key with the scope{" "}
              <code>admin</code>.
            </p>
          </Card>
          {mayRead ? <ShardList /> : null}
        </>
      )}
    </Page>
  );
}

const findingTones: Readonly<Record<string, BadgeTone>> = {
  ok: "ok",
  warning: "warn",
  problem: "bad",
  skipped: "plain",
};

function Doctor(): ReactNode {
  const asked = useAsk(["doctor"], (tripline, signal) => tripline.server.doctor({ signal }));
  return (
    <Card
      title="Doctor"
      aside={
        <button type="button" disabled={asked.isFetching} onClick={() => void asked.refetch()}>
          {asked.isFetching ? "Checking…" : "Check again"}
        </button>
      }
      flush
    >
      <Loaded asked={asked}>
        {({ findings }) => (
          <Table
            label="What was checked"
            rows={findings}
            keyOf={({ check, message }) => `${check} ${message}`}
            columns={[
              { heading: "Check", kind: "title", cell: ({ check }) => check },
              {
                heading: "Status",
                cell: ({ status }) => <Badge tone={findingTones[status] ?? "plain"}>{status}</Badge>,
              },
              {
                heading: "Finding",
                cell: ({ message, remedy }) => (
                  <>
                    {message}
                    {remedy === null ? null : <div>→ {remedy}</div>}
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}

function ServerCards(): ReactNode {
  const asked = useAsk(["settings"], (tripline, signal) => tripline.server.settings({ signal }));
  return (
    <Loaded asked={asked}>
      {(settings) => (
        <>
          <div className="columns">
            <About settings={settings} />
            <Retention settings={settings} />
          </div>
          <AllSettings settings={settings} />
        </>
      )}
    </Loaded>
  );
}

function About({ settings }: { readonly settings: ServerSettings }): ReactNode {
  const {
    versions,
    started,
    roles,
    telemetry,
    workspaces,
    secrets_sealed: sealed,
    canary_seconds: canary,
  } = settings;
  const exported = [telemetry.traces ? "traces" : null, telemetry.metrics ? "metrics" : null].filter(
    (name) => name !== null,
  );
  return (
    <Card title="Server">
      <Fields
        fields={[
          ["Tripline", versions.tripline],
          ["Node", versions.node],
          ["Redis", versions.redis ?? "unknown"],
          ["History", versions.history ?? "none"],
          ["Started", <Time key="started" at={started} as="ago" />],
          ["Roles", roles.join(", ")],
          ["Workspaces", workspaces.join(", ")],
          ["Secrets", sealed ? "encrypted in Redis" : "not encrypted in Redis"],
          ["Canary", canary === null ? "off" : `every ${durationText(canary * 1_000)}`],
          ["OpenTelemetry", exported.length === 0 ? "off" : exported.join(" and ")],
        ]}
      />
    </Card>
  );
}

function Retention({ settings }: { readonly settings: ServerSettings }): ReactNode {
  const { retention, limits } = settings;
  const forever = "as long as there is room";
  const kept = (seconds: number | null) => (seconds === null ? forever : durationText(seconds * 1_000));
  return (
    <Card title="What is kept, and how much is allowed">
      <Fields
        fields={[
          ["Log", `${kept(retention.log_seconds)} behind its slowest reader`],
          ["History", kept(retention.history_seconds)],
          [
            "Its size",
            retention.history_bytes === null
              ? "any"
              : `${countText(Math.round(retention.history_bytes / 1e6))} MB`,
          ],
          ["Deliveries", `${kept(retention.delivered_seconds)} after they were made`],
          ["Dead letters", kept(retention.dead_letter_seconds)],
          ["Lateness", kept(limits.lateness_seconds)],
          ["Tries last", kept(limits.give_up_after_seconds)],
          ["An event", `at most ${countText(Math.round(limits.event_bytes / 1_000))} kB`],
          ["A chain", `at most ${limits.chain_length} firings from each other`],
        ]}
      />
    </Card>
  );
}

function AllSettings({ settings }: { readonly settings: ServerSettings }): ReactNode {
  if (settings.settings === null) return null;
  return (
    <Card title="All settings of this process" flush>
      <Table
        label="Settings"
        rows={settings.settings}
        keyOf={({ name }) => name}
        columns={[
          { heading: "Setting", kind: "title", cell: ({ name }) => <code>{name}</code> },
          {
            heading: "Value",
            cell: ({ value, changed }) => (
              <span className="row">
                <code>{value ?? "not set"}</code>
                {changed ? <Badge tone="info">changed</Badge> : null}
              </span>
            ),
          },
          {
            heading: "Default",
            cell: (setting) => <code className="muted">{setting.default ?? "not set"}</code>,
          },
        ]}
      />
    </Card>
  );
}
