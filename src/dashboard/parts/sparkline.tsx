/** Counts over time as small bars. */

import type { ReactNode } from "react";

export interface SparklineProps {
  readonly values: readonly number[];
  /** What the bars count, such as `firings in 24 hours`. */
  readonly label: string;
}

export function Sparkline({ values, label }: SparklineProps): ReactNode {
  const max = Math.max(1, ...values);
  const total = values.reduce((sum, value) => sum + value, 0);
  const step = 96 / Math.max(values.length, 1);
  return (
    <svg
      className="spark"
      viewBox="0 0 96 24"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${total} ${label}, at most ${total === 0 ? 0 : max} at a time`}
    >
      {values.map((value, index) => {
        const height = value === 0 ? 1 : 2 + (value / max) * 22;
        return (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place in time
            key={index}
            className={value === 0 ? "zero" : undefined}
            x={index * step + 0.4}
            y={24 - height}
            width={Math.max(step - 0.8, 0.5)}
            height={height}
          />
        );
      })}
    </svg>
  );
}
