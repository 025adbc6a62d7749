/** Counts over time, drawn by uPlot. A span can be chosen with the mouse; where that matters, fields do the same. */

import "uplot/dist/uPlot.min.css";
import "../style/chart.css";
import { type ReactNode, useEffect, useRef } from "react";
import UPlot from "uplot";
import { rateText } from "./numbers.ts";
import { timeText } from "./times.tsx";

export interface ChartSeries {
  readonly label: string;
  /** One for each step; null where nothing is known. */
  readonly values: readonly (number | null)[];
  /** The name of a color of the style sheet, such as `accent`. */
  readonly color: "accent" | "bad" | "info" | "ok" | "warn";
  readonly kind: "bars" | "line";
}

export interface ChartProps {
  /** What is drawn, for those who cannot see it. */
  readonly label: string;
  /** The start of the first step, in milliseconds since the epoch. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly series: readonly ChartSeries[];
  readonly heightPx?: number;
  /** Called with the span that was chosen, in milliseconds since the epoch. */
  readonly onBrush?: (fromMs: number, toMs: number) => void;
}

/** A drag shorter than this is a click. */
const brushPxMin = 6;

export default function Chart(props: ChartProps): ReactNode {
  const { label, startMs, stepMs, series, heightPx = 140, onBrush } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const brush = useRef(onBrush);
  brush.current = onBrush;
  const data = dataOf(props);
  const latest = useRef(data);
  latest.current = data;
  const shape = JSON.stringify(series.map(({ label, color, kind }) => [label, color, kind]));

  // biome-ignore lint/correctness/useExhaustiveDependencies: new numbers are set below, without a new chart
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new UPlot(
        optionsOf(series, {
          width: Math.max(element.clientWidth, 100),
          height: heightPx,
          step: stepMs / 1_000,
          onBrush: onBrush === undefined ? null : (from, to) => brush.current?.(from, to),
        }),
        latest.current,
        element,
      );
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: Math.max(element.clientWidth, 100), height: heightPx }),
    );
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    window.addEventListener("tripline-theme", draw);
    return () => {
      dark.removeEventListener("change", draw);
      window.removeEventListener("tripline-theme", draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, heightPx, stepMs, onBrush === undefined]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the numbers are made from these
  useEffect(() => {
    plot.current?.setData(latest.current);
  }, [series, startMs, stepMs]);

  return <div ref={place} className="chart" role="img" aria-label={`${label}. ${summaryOf(series)}`} />;
}

function dataOf({ startMs, stepMs, series }: ChartProps): UPlot.AlignedData {
  const count = Math.max(0, ...series.map(({ values }) => values.length));
  const times = Array.from({ length: count }, (_, index) => (startMs + index * stepMs) / 1_000);
  return [times, ...series.map(({ values }) => [...values])];
}

function summaryOf(series: readonly ChartSeries[]): string {
  return series
    .map(({ label, values }) => {
      const known = values.filter((value) => value !== null);
      return `${label}: last ${rateText(known.at(-1) ?? 0)}, at most ${rateText(Math.max(0, ...known))}`;
    })
    .join("; ");
}

interface DrawOptions {
  readonly width: number;
  readonly height: number;
  /** In seconds. */
  readonly step: number;
  readonly onBrush: ((fromMs: number, toMs: number) => void) | null;
}

function optionsOf(
  series: readonly ChartSeries[],
  { width, height, step, onBrush }: DrawOptions,
): UPlot.Options {
  // The computed value of light-dark() is the color of the present theme.
  const probe = document.createElement("span");
  document.body.append(probe);
  const colorOf = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const [muted, line] = [colorOf("muted"), colorOf("line")];
  const colors = series.map(({ color }) => colorOf(color));
  probe.remove();
  const font = "11px system-ui, sans-serif";
  const axis = {
    stroke: muted,
    font,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
  };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    cursor: {
      drag: { x: onBrush !== null, y: false, setScale: false, dist: brushPxMin },
      points: { show: false },
      y: false,
    },
    select: { show: onBrush !== null, left: 0, top: 0, width: 0, height: 0 },
    legend: { show: true, live: true },
    scales: {
      x: { time: true, range: (_plot, min, max) => [min, max + step] },
      y: { range: (_plot, _min, max) => [0, Math.max(max ?? 0, 1) * 1.05] },
    },
    axes: [
      { ...axis, space: 70, size: 36 },
      { ...axis, size: 46, space: 28, values: (_plot, values) => values.map((value) => rateText(value)) },
    ],
    series: [
      {
        value: (_plot, seconds) =>
          seconds === null ? "" : timeText(seconds * 1_000, step < 86_400 ? "clock" : "full"),
      },
      ...series.map(({ label, kind }, index): UPlot.Series => {
        const stroke = colors[index] ?? muted;
        const value = (_plot: UPlot, count: number | null) => (count === null ? "" : rateText(count));
        if (kind === "line") return { label, stroke, width: 1.5, value, points: { show: false } };
        const paths = UPlot.paths.bars?.({ size: [0.85, 24], align: 1 });
        return {
          label,
          stroke,
          fill: stroke,
          width: 0,
          value,
          points: { show: false },
          ...(paths ? { paths } : {}),
        };
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width: chosen } = plot.select;
          if (chosen < brushPxMin || onBrush === null) return;
          onBrush(plot.posToVal(left, "x") * 1_000, plot.posToVal(left + chosen, "x") * 1_000);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}
