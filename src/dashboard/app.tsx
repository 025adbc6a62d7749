/** The frame of all pages, and which page belongs to which path. Each page is loaded when it is first opened. */

import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Link, Redirect, Route, Router, Switch, useLocation } from "wouter";
import type { Session } from "../client/types.ts";
import { chooseWorkspace, chosenWorkspace, clientFor, reachability, root } from "./data/api.ts";
import { queryClient } from "./data/queries.ts";
import { ViewerContext } from "./data/session.tsx";
import iconUrl from "./icon.svg";
import { SignIn } from "./pages/sign-in/sign-in.tsx";
import { ErrorBoundary } from "./parts/error-boundary.tsx";
import { FindId } from "./parts/find-id.tsx";
import { Page, Problem } from "./parts/page.tsx";
import { ThemeChoice } from "./parts/theme.tsx";

const Overview = lazy(() => import("./pages/overview/overview.tsx"));
const EventFeed = lazy(() => import("./pages/events/event-feed.tsx"));
const EventPage = lazy(() => import("./pages/events/event-page.tsx"));
const AutomationList = lazy(() => import("./pages/automations/automation-list.tsx"));
const AutomationPage = lazy(() => import("./pages/automations/automation-page.tsx"));
const DeliveryList = lazy(() => import("./pages/deliveries/delivery-list.tsx"));
const DeliveryPage = lazy(() => import("./pages/deliveries/delivery-page.tsx"));
const DestinationList = lazy(() => import("./pages/destinations/destination-list.tsx"));
const RulesPage = lazy(() => import("./pages/rules/rules-page.tsx"));
const MapPage = lazy(() => import("./pages/map/map-page.tsx"));
const SettingsPage = lazy(() => import("./pages/settings/settings-page.tsx"));

interface Section {
  readonly path: string;
  readonly name: string;
}

const sections: readonly Section[] = [
  { path: "/", name: "Overview" },
  { path: "/events", name: "Events" },
  { path: "/automations", name: "Automations" },
  { path: "/deliveries", name: "Deliveries" },
  { path: "/destinations", name: "Destinations" },
  { path: "/rules", name: "Rules" },
  { path: "/map", name: "Map" },
  { path: "/settings", name: "Settings" },
];

export function App(): ReactNode {
  return (
    <QueryClientProvider client={queryClient}>
      <Router base={root.replace(/\/$/, "")}>
        <Gate />
      </Router>
    </QueryClientProvider>
  );
}

/** How often a page that could not be opened tries again. */
const retryMs = 2_000;

/** Finds out who the viewer is, and lets them in or asks for a key. */
function Gate(): ReactNode {
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt asks again
  useEffect(() => {
    const leaving = new AbortController();
    clientFor(null)
      .session.read({ signal: leaving.signal })
      .then(setSession, (failure) => {
        if (leaving.signal.aborted) return;
        setError(failure);
        setTimeout(() => setAttempt((count) => count + 1), retryMs);
      });
    return () => leaving.abort();
  }, [attempt]);
  const viewer = useMemo(() => {
    if (session === null) return null;
    const tripline = clientFor(session);
    const signOut = async () => {
      await tripline.session.signOut();
      queryClient.clear();
      setSession(await tripline.session.read());
    };
    return { session, tripline, signOut };
  }, [session]);

  if (viewer === null) return error === null ? null : <NoServer error={error} />;
  if (!viewer.session.allowed) return <SignIn onSignedIn={setSession} />;
  return (
    <ViewerContext value={viewer}>
      <Frame session={viewer.session} signOut={viewer.signOut} />
    </ViewerContext>
  );
}

function NoServer({ error }: { readonly error: unknown }): ReactNode {
  return (
    <main className="sign-in">
      <h1>Tripline does not answer</h1>
      <Problem error={error} />
      <p className="muted">Trying again every {retryMs / 1_000} seconds.</p>
    </main>
  );
}

function Frame({ session, signOut }: { readonly session: Session; readonly signOut: () => void }): ReactNode {
  const [location] = useLocation();
  return (
    <div className="frame">
      <button type="button" className="skip" onClick={() => document.getElementById("content")?.focus()}>
        Skip to the content
      </button>
      <header className="side">
        <Link href="/" className="brand">
          <img src={iconUrl} alt="" />
          Tripline
        </Link>
        <FindId />
        <Navigation />
        <div className="foot">
          <WorkspaceChoice session={session} />
          <ThemeChoice />
          {session.key === null ? null : (
            <span className="row">
              <span title={`API key ${session.key.id}`}>{session.key.name}</span>
              <button type="button" className="plain" onClick={signOut}>
                Sign out
              </button>
            </span>
          )}
          <span className="wide">
            Tripline {session.version} · <a href="docs">API</a>
          </span>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <Connection />
        <ErrorBoundary path={location}>
          <Suspense fallback={<div className="loading">Loading…</div>}>
            <Pages />
          </Suspense>
        </ErrorBoundary>
      </main>
    </div>
  );
}

function Navigation(): ReactNode {
  const [location] = useLocation();
  return (
    <nav aria-label="Pages">
      <ul>
        {sections.map(({ path, name }) => {
          const isCurrent =
            path === "/" ? location === "/" : location === path || location.startsWith(`${path}/`);
          return (
            <li key={path}>
              <Link href={path} aria-current={isCurrent ? "page" : undefined}>
                {name}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function WorkspaceChoice({ session }: { readonly session: Session }): ReactNode {
  const { workspaces } = session;
  if (workspaces.length < 2) return session.workspace === "default" ? null : <span>{session.workspace}</span>;
  return (
    <label>
      <span className="hidden">Workspace</span>
      <select
        value={chosenWorkspace(session) ?? session.workspace ?? ""}
        onChange={(event) => chooseWorkspace(event.target.value)}
      >
        {workspaces.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

/** Says that the server is away. What pages show then is its last answer. */
function Connection(): ReactNode {
  const isReachable = useSyncExternalStore(reachability.subscribe, reachability.get);
  const [wasAway, setWasAway] = useState(false);
  useEffect(() => {
    if (!isReachable) {
      setWasAway(true);
      const timer = setInterval(
        () =>
          void clientFor(null)
            .session.read()
            .catch(() => {}),
        retryMs,
      );
      return () => clearInterval(timer);
    }
    if (wasAway) void queryClient.invalidateQueries();
    setWasAway(false);
    return undefined;
  }, [isReachable, wasAway]);
  return (
    <div role="status">
      {isReachable ? null : (
        <p className="banner bad">
          The server does not answer. What you see may be out of date. Trying again every {retryMs / 1_000}{" "}
          seconds.
        </p>
      )}
    </div>
  );
}

function Pages(): ReactNode {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/events" component={EventFeed} />
      <Route path="/events/:id" component={EventPage} />
      <Route path="/automations" component={AutomationList} />
      <Route path="/automations/:id" component={AutomationPage} />
      <Route path="/deliveries" component={DeliveryList} />
      <Route path="/deliveries/:id" component={DeliveryPage} />
      <Route path="/destinations" component={DestinationList} />
      <Route path="/rules" component={RulesPage} />
      <Route path="/map" component={MapPage} />
      <Route path="/settings" component={SettingsPage} />
      <Route path="/sign-in">
        <Redirect to="/" />
      </Route>
      <Route>
        <Page title="Not found">
          <p>
            There is no such page. <Link href="/">Go to the overview</Link>
          </p>
        </Page>
      </Route>
    </Switch>
  );
}
