/**
 * Long work in slices, so that one request never keeps the process from everything else: leases, pongs, other requests.
 * In a Worker it must be turned off: a request may not wait for another there, and what it has planned is dropped when
 * it ends. The next ones would wait for that forever.
 *
 * All requests share one slice per turn of the event loop. With a slice for each of them, a hundred requests would stop
 * the process as one long one does.
 */

const sliceMs = 10;

const waiting: (() => void)[] = [];
let sliceEnds: number | null = null;
let isOff = false;

/** From now on work is not sliced: there is nothing else to keep running, as in a Worker. */
export function turnOffSlices(): void {
  isOff = true;
}

/** Lets everything else run if the work of this turn has taken long enough. Call it between two short steps. */
export async function breathe(): Promise<void> {
  await breath();
}

/**
 * As `breathe`, for work that many begin in the same turn. They must not wait for null: while the first awaits nothing, all
 * others would find that no time has passed.
 */
export function breath(): Promise<void> | null {
  if (isOff) return null;
  if (sliceEnds === null) startSlice();
  else if (performance.now() >= sliceEnds) return new Promise<void>((resolve) => waiting.push(resolve));
  return null;
}

/**
 * Runs something once what has arrived in this turn of the event loop has begun. In a Worker it runs at once: there, a
 * request waits for no other.
 */
export function afterTurn(run: () => void): void {
  if (isOff) run();
  else setImmediate(run);
}

/** As `map`, in slices. */
export async function mapInSlices<T, U>(items: Iterable<T>, change: (item: T) => U): Promise<U[]> {
  const changed: U[] = [];
  for (const item of items) {
    await breathe();
    changed.push(change(item));
  }
  return changed;
}

/** The items in lists of so many; the last one may be shorter. */
export function chunksOf<T>(items: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, index) =>
    items.slice(index * length, (index + 1) * length),
  );
}

/** Takes all steps of a long computation, in slices. @returns its result */
export async function finishInSlices<T>(steps: Iterator<void, T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await breath();
  }
}

function startSlice(): void {
  sliceEnds = performance.now() + sliceMs;
  setImmediate(() => {
    sliceEnds = null;
    const resume = waiting.shift();
    if (resume === undefined) return;
    startSlice();
    resume();
  });
}
