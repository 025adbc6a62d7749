/** The one connection of the dashboard to its server: the typed client, the session, and whether the server answers. */

import { Tripline } from "../../client/index.ts";
import type { Session } from "../../client/types.ts";

/** The path below which the dashboard is served, such as `/` or `/tripline/`. */
export const root = new URL(document.baseURI).pathname;

const apiUrl = new URL("api", document.baseURI).href;

/** Whether the last request reached the server. */
let isReachable = true;
const listeners = new Set<() => void>();

/** For useSyncExternalStore: whether the server answers. */
export const reachability = {
  get: (): boolean => isReachable,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

function setReachable(value: boolean): void {
  if (value === isReachable) return;
  isReachable = value;
  for (const listener of listeners) listener();
}

/** What a proxy answers while the server behind it is down. */
const unreachableStatuses: readonly number[] = [502, 504];

async function observedFetch(...request: Parameters<typeof fetch>): Promise<Response> {
  try {
    const response = await fetch(...request);
    setReachable(!unreachableStatuses.includes(response.status));
    return response;
  } catch (error) {
    const [, { signal } = {}] = request;
    if (signal?.aborted !== true) setReachable(false);
    throw error;
  }
}

/** A WebSocket that is not closed before it is open: browsers report that as an error, though the viewer only went on. */
class PatientSocket extends WebSocket {
  override close(code?: number, reason?: string): void {
    if (this.readyState === WebSocket.CONNECTING)
      this.addEventListener("open", () => super.close(code, reason));
    else super.close(code, reason);
  }
}

/**
 * A client for a session. Failed requests are not repeated here: pages ask again anyway, and show that the server is away.
 *
 * @param session null before it is known who the viewer is
 */
export function clientFor(session: Session | null): Tripline {
  const workspace = session === null ? null : chosenWorkspace(session);
  const url = workspace === null ? apiUrl : `${apiUrl}/accounts/tripline/workspaces/${workspace}`;
  const key = session?.page_token ?? null;
  return new Tripline({ url, key, patienceMs: 0, fetch: observedFetch, WebSocket: PatientSocket });
}

const workspaceSetting = "tripline.workspace";

/** The workspace that the viewer chose, where a session may name several; null for that of the session. */
export function chosenWorkspace({ workspaces }: Session): string | null {
  const chosen = localStorage.getItem(workspaceSetting);
  return chosen !== null && workspaces.length > 1 && workspaces.includes(chosen) ? chosen : null;
}

export function chooseWorkspace(name: string): void {
  localStorage.setItem(workspaceSetting, name);
  location.reload();
}
