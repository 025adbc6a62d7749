/** Who the viewer is, and what the viewer may do: for every part of a page. */

import { createContext, useContext } from "react";
import type { Tripline } from "../../client/index.ts";
import type { Session } from "../../client/types.ts";

export interface Viewer {
  readonly session: Session;
  /** Sends requests as the viewer. */
  readonly tripline: Tripline;
  readonly signOut: () => void;
}

export const ViewerContext = createContext<Viewer | null>(null);

export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (viewer === null) throw new Error("this part is outside of the frame");
  return viewer;
}

/** Whether the viewer has a scope. Buttons that need one are left out for others. */
export function useMay(scope: Session["scopes"][number]): boolean {
  const { scopes } = useViewer().session;
  return scopes.includes(scope) || scopes.includes("admin");
}
