/** API keys: who may use the server, and making and revoking keys. */

import { type ReactNode, useState } from "react";
import type { ApiKeyView, CreatedApiKey, NewApiKey } from "../../../client/types.ts";
import { useAsk, useChange } from "../../data/queries.ts";
import { useViewer } from "../../data/session.tsx";
import { Badge } from "../../parts/badge.tsx";
import { Code } from "../../parts/code.tsx";
import { ConfirmButton } from "../../parts/confirm.tsx";
import { Card, Empty, Loaded, Problem } from "../../parts/page.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";

const scopes: readonly { readonly scope: NewApiKey["scopes"][number]; readonly about: string }[] = [
  { scope: "events:write", about: "post events" },
  { scope: "events:read", about: "read events" },
  { scope: "automations:read", about: "read automations, windows, deliveries and destinations" },
  { scope: "automations:write", about: "change automations and destinations, and redeliver" },
  { scope: "admin", about: "everything, also keys" },
];

export function ApiKeyList(): ReactNode {
  const asked = useAsk(["keys"], (tripline, signal) => tripline.keys.list({ signal }));
  const [made, setMade] = useState<CreatedApiKey | null>(null);
  const [isMaking, setMaking] = useState(false);
  return (
    <Card
      title="API keys"
      aside={
        <button type="button" aria-expanded={isMaking} onClick={() => setMaking(!isMaking)}>
          New key
        </button>
      }
      flush
    >
      {isMaking ? (
        <NewKey
          isFirst={asked.data?.length === 0}
          onMade={(created) => {
            setMade(created);
            setMaking(false);
          }}
        />
      ) : null}
      {made === null ? null : <Made created={made} onSeen={() => setMade(null)} />}
      <Loaded asked={asked}>
        {(keys) =>
          keys.length === 0 ? (
            <Empty>
              There are no keys: everyone on this machine may do everything, and nobody else can reach the
              server. The first key closes it for everyone without one.
            </Empty>
          ) : (
            <Table label="API keys" rows={keys} keyOf={({ id }) => id} columns={columns} />
          )
        }
      </Loaded>
    </Card>
  );
}

const columns = [
  {
    heading: "Name",
    kind: "title",
    cell: ({ name, id }: ApiKeyView) => (
      <>
        {name} <code className="muted">{id}</code>
      </>
    ),
  },
  {
    heading: "State",
    cell: ({ state }: ApiKeyView) => <Badge tone={state === "active" ? "ok" : "plain"}>{state}</Badge>,
  },
  { heading: "Scopes", cell: ({ scopes: granted }: ApiKeyView) => granted.join(", ") },
  { heading: "Limit", cell: ({ rate }: ApiKeyView) => rate ?? "none" },
  { heading: "Created", cell: ({ created }: ApiKeyView) => <Time at={created} as="ago" /> },
  {
    heading: "Expires",
    cell: ({ expires }: ApiKeyView) => (expires === null ? "never" : <Time at={expires} as="ago" />),
  },
  {
    heading: "Last used",
    cell: ({ last_used: used }: ApiKeyView) => (used === null ? null : <Time at={used} as="ago" />),
  },
  { heading: "Revoke", cell: (key: ApiKeyView) => <Revoke apiKey={key} /> },
] as const;

function Revoke({ apiKey }: { readonly apiKey: ApiKeyView }): ReactNode {
  const { id, name, state, source } = apiKey;
  const { session } = useViewer();
  const revoke = useChange((tripline) => tripline.keys.revoke(id));
  if (state !== "active") return null;
  return (
    <ConfirmButton
      label="Revoke"
      title={`Revoke the key ${name}?`}
      danger
      onConfirm={() => revoke.mutateAsync(undefined)}
    >
      Whoever uses it is refused within seconds
      {session.key?.id === id ? ": it is the key that you are signed in with" : ""}.
      {source === "file" ? " It comes from a key file, and stays revoked although it is named there." : ""}
    </ConfirmButton>
  );
}

interface NewKeyProps {
  /** Whether it would be the first of the server. */
  readonly isFirst: boolean;
  readonly onMade: (created: CreatedApiKey) => void;
}

function NewKey({ isFirst, onMade }: NewKeyProps): ReactNode {
  const create = useChange((tripline, key: NewApiKey) => tripline.keys.create(key));
  const submit = async (form: FormData) => {
    const days = Number(form.get("days"));
    const created = await create
      .mutateAsync({
        name: String(form.get("name") ?? "").trim(),
        scopes: form.getAll("scope") as NewApiKey["scopes"][number][],
        expires: days > 0 ? new Date(Date.now() + days * 86_400_000).toISOString() : null,
        rate: String(form.get("rate") ?? "").trim() || null,
      })
      .catch(() => null); // the error is shown below
    if (created !== null) onMade(created);
  };
  return (
    <form className="stack form" action={submit}>
      {isFirst ? (
        <p className="banner">
          This is the first key. From then on everyone needs one, you too: give it the scope{" "}
          <code>admin</code>, and keep it.
        </p>
      ) : null}
      <div className="filters">
        <label className="field">
          Name
          <input name="name" required maxLength={100} placeholder="who or what uses it" />
        </label>
        <label className="field">
          Expires
          <select name="days" defaultValue="0">
            <option value="0">Never</option>
            <option value="30">In 30 days</option>
            <option value="90">In 90 days</option>
            <option value="365">In a year</option>
          </select>
        </label>
        <label className="field">
          Limit
          <input name="rate" placeholder="none; such as 100/s" />
        </label>
      </div>
      <fieldset>
        <legend className="small muted">What it may do</legend>
        {scopes.map(({ scope, about }) => (
          <label key={scope} className="row">
            <input type="checkbox" name="scope" value={scope} defaultChecked={isFirst && scope === "admin"} />
            <code>{scope}</code> <span className="small muted">{about}</span>
          </label>
        ))}
      </fieldset>
      {create.error === null ? null : <Problem error={create.error} />}
      <div>
        <button type="submit" className="primary" disabled={create.isPending}>
          Create the key
        </button>
      </div>
    </form>
  );
}

/** The token of a new key, which is shown once. */
function Made({
  created,
  onSeen,
}: {
  readonly created: CreatedApiKey;
  readonly onSeen: () => void;
}): ReactNode {
  return (
    <div className="stack form" role="status">
      <p>
        The key <strong>{created.key.name}</strong> is made. Copy it now: it is not shown again.
      </p>
      <Code text={created.token} label="the key" />
      <div>
        <button type="button" onClick={onSeen}>
          I have copied it
        </button>
      </div>
    </div>
  );
}
