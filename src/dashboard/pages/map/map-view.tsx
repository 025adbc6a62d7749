/** Draws the map. */

import { type ReactNode, useMemo, useState } from "react";
import { Link } from "wouter";
import type { AutomationMap } from "../../../client/types.ts";
import { layoutOf, type MapEdge, type MapNode, nodeHeight, nodeWidth } from "./map-layout.ts";
import "../../style/map.css";

export default function MapView({ map }: { readonly map: AutomationMap }): ReactNode {
  const { nodes, edges, width, height } = useMemo(() => layoutOf(map), [map]);
  const [scale, setScale] = useState(1);
  return (
    <>
      <div className="row small">
        <span className="map-legend event">event</span>
        <span className="map-legend automation">automation</span>
        <span className="map-legend destination">destination</span>
        <span className="segments">
          <button type="button" aria-label="Smaller" onClick={() => setScale(Math.max(0.4, scale - 0.2))}>
            −
          </button>
          <button type="button" aria-label="Larger" onClick={() => setScale(Math.min(2, scale + 0.2))}>
            +
          </button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs the focus */}
      <section className="map" tabIndex={0} aria-label="The map, drawn; below it is the same in words">
        <svg
          width={width * scale}
          height={height * scale}
          viewBox={`0 0 ${width} ${height}`}
          role="group"
          aria-label="Events, automations and destinations"
        >
          {edges.map((edge) => (
            <Edge key={edge.id} edge={edge} />
          ))}
          {nodes.map((node) => (
            <Node key={node.id} node={node} />
          ))}
        </svg>
      </section>
    </>
  );
}

function Edge({ edge: { points, label, tone } }: { readonly edge: MapEdge }): ReactNode {
  const path = points.map(({ x, y }, index) => `${index === 0 ? "M" : "L"} ${x} ${y}`).join(" ");
  // The tip is drawn here: a marker would be found by a URL, which <base> leads astray.
  const [before, end] = [points.at(-2), points.at(-1)];
  const angle = before && end ? (Math.atan2(end.y - before.y, end.x - before.x) * 180) / Math.PI : 0;
  return (
    <g className={`edge ${tone}`}>
      <path d={path} />
      {end === undefined ? null : (
        <path
          className="tip"
          d="M 0 0 L -7 -4 L -7 4 z"
          transform={`translate(${end.x} ${end.y}) rotate(${angle})`}
        />
      )}
      {label === "" ? null : <title>{label}</title>}
    </g>
  );
}

const nameLengthMax = 23;

function Node({ node }: { readonly node: MapNode }): ReactNode {
  const { kind, name, note, path, tone, x, y } = node;
  const shown = name.length > nameLengthMax ? `${name.slice(0, nameLengthMax - 1)}…` : name;
  const box = (
    <g className={`node ${kind} ${tone}`} transform={`translate(${x - nodeWidth / 2} ${y - nodeHeight / 2})`}>
      <title>{`${kind} ${name}${note === "" ? "" : `, ${note}`}`}</title>
      <rect width={nodeWidth} height={nodeHeight} rx={kind === "event" ? nodeHeight / 2 : 6} />
      <text x={14} y={note === "" ? 27 : 19}>
        {shown}
      </text>
      <text x={14} y={35} className="note">
        {note}
      </text>
    </g>
  );
  if (path === null) return box;
  return <Link href={path}>{box}</Link>;
}
