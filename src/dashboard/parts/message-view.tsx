/** A message that is sent to a receiver. */

import type { ReactNode } from "react";
import type { SentMessage } from "../../client/types.ts";
import { Code } from "./code.tsx";

/** What is sent, with secrets masked. */
export function MessageView({ sent }: { readonly sent: SentMessage }): ReactNode {
  const { method, url, headers, body, truncated, note, template_failures: failures } = sent;
  const names = Object.entries(headers);
  return (
    <>
      {note === undefined ? null : <p>{note}</p>}
      {url === null ? null : (
        <p className="mono">
          {method} {url}
        </p>
      )}
      {names.length === 0 ? null : (
        <details>
          <summary>Headers</summary>
          <pre>{names.map(([name, value]) => `${name}: ${value}`).join("\n")}</pre>
        </details>
      )}
      {body === null ? null : <Code text={body} label="the body" />}
      {truncated ? <p className="small muted">Only the beginning is shown.</p> : null}
      {failures?.map(({ field, reason }) => (
        <p key={field} className="small">
          The template <code>{field}</code> fails: {reason}. A plain message takes its place.
        </p>
      ))}
    </>
  );
}
