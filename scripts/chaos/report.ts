/** The table at the end of a chaos run. */

import { isGood } from "./oracle.ts";
import type { ChaosResult, FaultReport } from "./run.ts";

/** Whether nothing was lost, doubled, false, missed or out of order, and every process lived as long as it should. */
export function hasPassed({ verdict, crashes }: ChaosResult): boolean {
  return isGood(verdict) && crashes.length === 0;
}

const shownMax = 20;

export function resultTable(result: ChaosResult): string {
  const { verdict, faults, crashes } = result;
  const kinds = [...Map.groupBy(faults, ({ kind }) => kind)].sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = kinds.map(([kind, found]) => [
    kind,
    String(found.length),
    times(found, ({ recoveryMs }) => recoveryMs),
    times(found, ({ drainedMs }) => drainedMs),
  ]);
  const figures: [string, number][] = [
    ["events", verdict.eventCount],
    ["  acknowledged", verdict.acknowledgedCount],
    ["  sent again", result.resentCount],
    ["  failed requests", result.failedRequestCount],
    ["firings expected", verdict.expectedCount],
    ["firings seen", verdict.seenCount],
    ["  things that cannot be judged", verdict.uncertainCount],
    ["refused deliveries", result.refusedDeliveryCount],
    ["repeated deliveries", verdict.repeatedCount],
    ["lost", verdict.lost.length],
    ["doubled", verdict.doubled.length],
    ["false", verdict.false.length],
    ["missed", verdict.missed.length],
    ["out of order", verdict.disordered.length],
    ["crashed processes", crashes.length],
  ];
  const findings = (["lost", "doubled", "false", "missed", "disordered"] as const).flatMap((kind) =>
    verdict[kind].slice(0, shownMax).map((finding) => `${kind}: ${finding}`),
  );
  const drained = result.drainedMs === null ? "never" : seconds(result.drainedMs);
  return [
    "",
    table(
      ["fault", "count", "recovered after (median, max)", "backlog empty after (median, max)"],
      [
        ...rows,
        [
          "all",
          String(faults.length),
          times(faults, (fault) => fault.recoveryMs),
          times(faults, (fault) => fault.drainedMs),
        ],
      ],
    ),
    "",
    ...figures.map(([name, count]) => `${name.padEnd(32)} ${String(count).padStart(7)}`),
    `${"all delivered after the end".padEnd(32)} ${drained.padStart(7)}`,
    ...(findings.length > 0 ? ["", ...findings] : []),
    ...crashes.map((crash) => `crashed: ${crash}`),
    "",
  ].join("\n");
}

/** Only of faults that were alone, if there are any. */
function times(faults: readonly FaultReport[], timeOf: (fault: FaultReport) => number | null): string {
  const alone = faults.filter(({ isOverlapped }) => !isOverlapped);
  const found = alone.map(timeOf);
  if (found.length === 0) return "only with others";
  if (found.includes(null)) return "never";
  const sorted = found.map(Number).sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]!;
  return `${seconds(middle)}, ${seconds(sorted.at(-1)!)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
