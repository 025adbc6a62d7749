/** Where everything on the map lies: events at the left, then automations, then destinations. Laid out by dagre. */

import { Graph, layout } from "@dagrejs/dagre";
import type { AutomationMap } from "../../../client/types.ts";
import { countOf, countText } from "../../parts/numbers.ts";

export interface MapNode {
  readonly id: string;
  readonly kind: "event" | "automation" | "destination" | "hook";
  readonly name: string;
  /** A second line. */
  readonly note: string;
  /** Where it leads; null for what has no page. */
  readonly path: string | null;
  /** `idle`: nothing comes, or it is paused. `bad`: a loop, or a rule that can never fire. */
  readonly tone: "plain" | "idle" | "bad";
  readonly x: number;
  readonly y: number;
}

export interface MapEdge {
  readonly id: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly label: string;
  readonly tone: "plain" | "bad";
}

export interface MapLayout {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
  readonly width: number;
  readonly height: number;
}

export const nodeWidth = 190;
export const nodeHeight = 44;

type UnplacedNode = Omit<MapNode, "x" | "y">;

interface UnplacedEdge {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly tone: MapEdge["tone"];
}

/** Lays the map out. */
export function layoutOf(map: AutomationMap): MapLayout {
  const nodes = new Map(nodesOf(map).map((node) => [node.id, node]));
  const edges = edgesOf(map).filter(({ from, to }) => nodes.has(from) && nodes.has(to));
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 70, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes.keys()) graph.setNode(id, { width: nodeWidth, height: nodeHeight });
  for (const [index, { from, to }] of edges.entries()) graph.setEdge(from, to, {}, String(index));
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    nodes: [...nodes.values()].map((node) => {
      const { x, y } = graph.node(node.id) as { x: number; y: number };
      return { ...node, x, y };
    }),
    edges: edges.map(({ from, to, label, tone }, index) => {
      const { points } = graph.edge(from, to, String(index)) as unknown as Pick<MapEdge, "points">;
      return { id: `${index} ${from} ${to}`, points, label, tone };
    }),
    width,
    height,
  };
}

function nodesOf({ automations, events, hooks, loops, dead }: AutomationMap): UnplacedNode[] {
  const looping = new Set(loops.flat());
  const idle = new Set(dead.map(({ id }) => id));
  const destinations = new Set(automations.flatMap((automation) => automation.destinations));
  return [
    ...events
      .filter(({ kind }) => kind === "external")
      .map(({ pattern, seen_last_day: seen }): UnplacedNode => {
        const filter = new URLSearchParams({ event: pattern === "*" ? "" : pattern, range: "24h" });
        const note = seen === null ? "" : `${countText(seen)} today`;
        const tone = seen === 0 ? "idle" : "plain";
        return {
          id: `event ${pattern}`,
          kind: "event",
          name: pattern,
          note,
          path: `/events?${filter}`,
          tone,
        };
      }),
    ...automations.map(({ id, name, enabled, firings_last_day: count, never_fires: never }): UnplacedNode => {
      const isBad = looping.has(id) || never !== null;
      const tone = isBad ? "bad" : !enabled || idle.has(id) ? "idle" : "plain";
      const fired = count === null ? "" : `${countOf(count, "firing")} today`;
      const note = never !== null ? "never fires" : enabled ? fired : "paused";
      return { id: `automation ${id}`, kind: "automation", name, note, path: `/automations/${id}`, tone };
    }),
    ...[...destinations].map((name): UnplacedNode => {
      const filter = new URLSearchParams({ state: "delivered", target: name });
      const path = `/deliveries?${filter}`;
      return { id: `destination ${name}`, kind: "destination", name, note: "", path, tone: "plain" };
    }),
    ...hooks.map(
      ({ name }): UnplacedNode => ({
        id: `hook ${name}`,
        kind: "hook",
        name,
        note: "hook",
        path: null,
        tone: "plain",
      }),
    ),
  ];
}

function edgesOf({ automations, events, links, hooks, loops }: AutomationMap): UnplacedEdge[] {
  const looping = new Set(
    loops.flatMap((loop) => loop.map((id, index) => `${id} ${loop[(index + 1) % loop.length]}`)),
  );
  const plain = (from: string, to: string): UnplacedEdge => ({ from, to, label: "", tone: "plain" });
  return [
    ...events.flatMap(({ pattern, automations: users }) =>
      users.map((id) => plain(`event ${pattern}`, `automation ${id}`)),
    ),
    ...links.map(({ from, to, event, count_last_day: count }): UnplacedEdge => {
      const label = count === null ? event : `${event} (${count} today)`;
      const tone = looping.has(`${from} ${to}`) ? "bad" : "plain";
      return { from: `automation ${from}`, to: `automation ${to}`, label, tone };
    }),
    ...automations.flatMap(({ id, destinations }) =>
      destinations.map((name) => plain(`automation ${id}`, `destination ${name}`)),
    ),
    ...hooks.flatMap(({ name, events: made }) =>
      events
        .filter(({ pattern }) => made?.includes(pattern) === true)
        .map(({ pattern }) => plain(`hook ${name}`, `event ${pattern}`)),
    ),
  ];
}
