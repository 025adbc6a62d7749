/** What is shown in place of a page that cannot be shown. */

import { Component, type ReactNode } from "react";
import { Problem } from "./page.tsx";

interface BoundaryProps {
  /** Another page begins without the error. */
  readonly path: string;
  readonly children: ReactNode;
}

interface BoundaryState {
  readonly error: Error | null;
  readonly path: string;
}

/** Catches what goes wrong in a page: also a part that cannot be loaded, because the server has been upgraded since. */
export class ErrorBoundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = { error: null, path: this.props.path };

  static getDerivedStateFromError(error: Error): Partial<BoundaryState> {
    return { error };
  }

  static getDerivedStateFromProps({ path }: BoundaryProps, state: BoundaryState): BoundaryState {
    return path === state.path ? state : { error: null, path };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <div className="stack">
        <h1>This page cannot be shown</h1>
        <Problem error={error} />
        <p>If Tripline has been upgraded since you opened it, loading it again helps.</p>
        <div>
          <button type="button" className="primary" onClick={() => location.reload()}>
            Load it again
          </button>
        </div>
      </div>
    );
  }
}
