/** Every bound of the event model and of the core, with its reason. */

import { day, hour, type Micros, minute, second } from "./time.ts";

/** Prefect's limits on an event; its own client refuses larger ones. */
export const eventNameLengthMax = 1_024;
export const labelsPerResourceMax = 500;
export const relatedResourcesMax = 100;
export const eventBytesMax = 1_500_000;

/** The shortest window of a Proactive trigger, and the one it gets when it names none or 0. */
export const proactiveWithinMin: Micros = 10 * second;

/** How long past its end a window is kept open for events that were delayed on their way. */
export const latenessDefault: Micros = 5 * second;

/** How long a follower waits for the event that it follows. */
export const followerPatience: Micros = 15 * minute;

/** How long an event's id is known; longer than `followerPatience`, so that no follower waits for a leader already seen. */
export const seenFor: Micros = 30 * minute;

/** How many event ids are known at most, whatever their age: about 200 MB of memory. */
export const seenCountMax = 1_000_000;

/** How long a keyed Proactive schedule expects a key that it has seen. */
export const rememberDefault: Micros = 7 * day;

/**
 * How much longer than its trigger's own times the memory of a silent key is kept. Reactive counts are bound to event
 * time alone, so without this bound an arbitrarily late event could still need them.
 */
export const silentKeyGrace: Micros = 24 * hour;

/**
 * How many times one automation may stand in the line of firings that led to an event and still react to that
 * event: an automation never reacts to what its own firing caused.
 */
export const ownConsequencesMax = 0;

/**
 * How often one automation, and how often all of a shard together, fire for the consequences of one event from outside.
 * More than any chain that somebody means; and few enough that hundreds of rules that match everything, which would
 * react to each other in every order there is, cost little more than their own firings.
 */
export const consequencesPerAutomationMax = 50;
export const consequencesPerRootMax = 200;

/** The longest line of firings, each caused by the one before, whatever automations take part. */
export const lineageLengthMax = 16;

/**
 * How many windows that are already over a key's first event may open, when it comes that late. Each is a firing of its
 * own, so without this bound a single event that says it occurred in 1970 would be millions of them.
 */
export const overdueWindowsMax = 1_000;

/** How long an absence that fired waits to be resolved before it is forgotten. */
export const unresolvedFor: Micros = 30 * day;

/** The longest duration of a trigger: 100 years. Beyond that, instants become inexact, and clients cannot read it. */
export const durationMax: Micros = 36_525 * day;
