/** The parts that every page has: its head, and what is shown while there is nothing to show yet. */

import { type ReactNode, useEffect, useRef } from "react";

export interface PageProps {
  readonly title: string;
  /** Beside the title. */
  readonly badge?: ReactNode;
  /** What the page is for, in one sentence. */
  readonly lead?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

let hasShownPage = false;

/** A page with its title. After a change of page, a screen reader continues at the title. */
export function Page({ title, badge, lead, actions, children }: PageProps): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = title === "Tripline" ? title : `${title} · Tripline`;
  }, [title]);
  useEffect(() => {
    if (hasShownPage) heading.current?.focus({ preventScroll: true });
    hasShownPage = true;
  }, []);
  return (
    <>
      <div className="page-head">
        <div className="row">
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {badge}
        </div>
        {actions === undefined ? null : <div className="row">{actions}</div>}
        {lead === undefined ? null : <p className="lead">{lead}</p>}
      </div>
      <div className="stack">{children}</div>
    </>
  );
}

export interface CardProps {
  readonly title?: ReactNode;
  /** At the right of the title. */
  readonly aside?: ReactNode;
  /** True for tables and lists, which fill the card up to its edge. */
  readonly flush?: boolean;
  readonly children: ReactNode;
}

/** A part of a page with a title of its own. */
export function Card({ title, aside, flush = false, children }: CardProps): ReactNode {
  return (
    <section className={flush ? "card flush" : "card"}>
      {title === undefined ? null : (
        <header>
          <h2>{title}</h2>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

export function Empty({ children }: { readonly children: ReactNode }): ReactNode {
  return <div className="empty">{children}</div>;
}

/** Why something cannot be shown or done. */
export function Problem({ error }: { readonly error: unknown }): ReactNode {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div className="problem" role="alert">
      {message}
    </div>
  );
}

interface Asked<T> {
  readonly data: T | undefined;
  readonly error: unknown;
}

export interface LoadedProps<T> {
  readonly asked: Asked<T>;
  readonly children: (data: T) => ReactNode;
}

/** What was asked for once it is there. An old answer stays while the server is away; the frame says that it is. */
export function Loaded<T>({ asked, children }: LoadedProps<T>): ReactNode {
  if (asked.data !== undefined) return children(asked.data);
  if (asked.error !== null) return <Problem error={asked.error} />;
  return (
    <div className="loading" role="status">
      Loading…
    </div>
  );
}
