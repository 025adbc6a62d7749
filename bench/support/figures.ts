/** Medians and how they are printed. */

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** How far apart the lowest and the highest value are, in percent of the median. */
export function spread(values: readonly number[]): string {
  const range = Math.max(...values) - Math.min(...values);
  return `±${Math.round((range / 2 / median(values)) * 100)} %`;
}

export function rounded(value: number): string {
  return Math.round(value).toLocaleString("en");
}
