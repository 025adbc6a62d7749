/** Counts and rates, as people read them. */

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export function countText(count: number): string {
  return whole.format(count);
}

/** Such as `1.2K`, for where there is little room. */
export function shortCountText(count: number): string {
  return count < 10_000 ? whole.format(count) : short.format(count);
}

/** Such as `0.3` and `1,204`: with a decimal where it matters. */
export function rateText(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : whole.format(Math.round(perSecond));
}

/** Such as `1 event` and `3 events`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}
