/** The engines that are alive, and the shards that they own. */

import type { ReactNode } from "react";
import { useAsk } from "../data/queries.ts";
import { Badge } from "./badge.tsx";
import { countOf } from "./numbers.ts";
import { Card, Loaded } from "./page.tsx";
import { Table } from "./table.tsx";
import { durationText } from "./times.tsx";

const everyMs = 4_000;

export function ShardList(): ReactNode {
  const asked = useAsk(["shards"], (tripline, signal) => tripline.shards.read({ signal }), {
    everyMs: everyMs,
  });
  return (
    <Card
      title="Engines and shards"
      aside={
        asked.data === undefined ? null : (
          <span className="muted">
            {countOf(asked.data.engines.length, "engine")}, {countOf(asked.data.count, "shard")}
          </span>
        )
      }
      flush
    >
      <Loaded asked={asked}>
        {({ shards }) => (
          <Table
            label="Shards and their owners"
            rows={shards}
            keyOf={({ shard }) => String(shard)}
            columns={[
              { heading: "Shard", kind: "title", cell: ({ shard }) => `Shard ${shard}` },
              { heading: "Owner", cell: ({ owner }) => owner ?? <Badge tone="bad">none</Badge> },
              {
                heading: "Behind",
                kind: "right",
                cell: (shard) => countOf(shard.entries_behind, "entry", "entries"),
              },
              { heading: "Delay", kind: "right", cell: ({ delay_ms: ms }) => durationText(ms) },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
