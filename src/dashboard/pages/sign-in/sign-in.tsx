/** Asks for an API key. */

import { type FormEvent, type ReactNode, useState } from "react";
import { NotAllowed } from "../../../client/index.ts";
import type { Session } from "../../../client/types.ts";
import { clientFor } from "../../data/api.ts";
import { Problem } from "../../parts/page.tsx";

export function SignIn({ onSignedIn }: { readonly onSignedIn: (session: Session) => void }): ReactNode {
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget).get("key") ?? "");
    setBusy(true);
    setError(null);
    try {
      onSignedIn(await clientFor(null).session.signIn(key));
    } catch (failure) {
      setError(failure instanceof NotAllowed ? failure.message : failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <title>Sign in · Tripline</title>
      <h1>Sign in to Tripline</h1>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          API key
          <input
            name="key"
            type="password"
            required
            autoComplete="current-password"
            spellCheck={false}
            placeholder="tripline_…"
            // biome-ignore lint/a11y/noAutofocus: the page has nothing else
            autoFocus
          />
        </label>
        {error === null ? null : <Problem error={error} />}
        <div>
          <button type="submit" className="primary" disabled={isBusy}>
            Sign in
          </button>
        </div>
      </form>
      <p className="muted small">
        An administrator makes keys:{" "}
        <code>tripline keys create --name dashboard --scope events:read,automations:read</code>. The browser
        keeps the key where no script can read it, until you sign out.
      </p>
    </main>
  );
}
