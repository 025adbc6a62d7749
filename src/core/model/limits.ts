/** Every bound of the event model and of the core, with its reason. */

import { day, hour, type Micros, minute, second } from "./time.ts";

/** Prefect's limits on an event. Prefect's own client refuses larger ones. */
export const eventNameLengthMax = 1_024;
export const labelsPerResourceMax = 500;
export const relatedResourcesMax = 100;
export const eventBytesMax = 1_500_000;

/**
 * The longest label of a resource, and the longest value of one, in characters. Patterns are matched against them, which
 * takes time in proportion to both lengths.
 */
export const labelLengthMax = 32_768;

/** The longest pattern of an event's name or of a label's value, in characters: as long as the longest name. */
export const patternLengthMax = 1_024;

/** The shortest window of a Proactive trigger, and the default. */
export const proactiveWithinMin: Micros = 10 * second;

/** How long a window stays open past its end, for events that were delayed on their way. */
export const latenessDefault: Micros = 5 * second;

/** How long a follower waits for the event that it follows. */
export const followerPatience: Micros = 15 * minute;

/** How long event ids are remembered. Longer than `followerPatience`, so that no follower waits for a leader already seen. */
export const seenFor: Micros = 30 * minute;

/** The maximum number of remembered event ids, whatever their age: about 40 MB of memory. */
export const seenCountMax = 1_000_000;

/** How long a Proactive schedule with keys expects a key after it was last seen. */
export const rememberDefault: Micros = 7 * day;

/**
 * How long the state of a silent key is kept beyond the trigger's own times. Reactive counts depend on event time alone,
 * so without this bound an event could need them however late it is.
 */
export const silentKeyGrace: Micros = 24 * hour;

/**
 * How many times an automation may appear in the chain of firings that led to an event and still react to that event.
 * 0: an automation never reacts to what its own firing caused.
 */
export const ownConsequencesMax = 0;

/**
 * How often one automation, and all automations of a shard together, may fire for the consequences of one event from
 * outside. More than any intended chain needs. Few enough that hundreds of rules that match everything, which would react
 * to each other in every possible order, cost little more than their own firings.
 */
export const consequencesPerAutomationMax = 50;
export const consequencesPerRootMax = 200;

/** The longest chain of firings in which each causes the next, whatever automations take part. */
export const lineageLengthMax = 16;

/**
 * How many windows that have already ended may open for a key whose first event arrives very late. Each window is a
 * firing, so without this bound a single event dated 1970 would cause millions of them.
 */
export const overdueWindowsMax = 1_000;

/**
 * How long, and how many of, the times of expected events are kept for a Proactive window that opens later because its
 * `after` event is late. Prefect holds them as long: twice the time that a follower waits.
 */
export const heldFor: Micros = 2 * followerPatience;
export const heldMax = 1_000;

/** How many windows of a Reactive schedule are kept for delayed events, however long the lateness is. */
export const scheduledWindowsMax = 1_000;

/**
 * Processes with the role `api` append a beat about every 2 seconds. Longer than this without one is a gap, in which nobody
 * could post.
 */
export const gapTolerance: Micros = 5 * second;

/** The longest gap that windows wait for. After that, the API may be gone for good, and silences must be reported. */
export const gapMax: Micros = day;

/** How many gaps are remembered for windows that are still open. */
export const gapsMax = 20;

/** How long an absence that fired can still be resolved before it is forgotten. */
export const unresolvedFor: Micros = 30 * day;

/**
 * How many firings of one child a composite remembers for a key. A sequence needs several, because any of them may be part
 * of the choice that fires.
 */
export const rememberedFiringsMax = 32;

/** The longest duration of a trigger: 100 years. Beyond that, instants become inexact and clients cannot read them. */
export const durationMax: Micros = 36_525 * day;

/**
 * What a request may hold, other than events: automations, destinations, filters. Every check of it takes time in
 * proportion, and meanwhile the process does nothing else. So these are far above what anyone writes, and no higher.
 */
export const requestBytesMax = 1_000_000;
export const requestValuesMax = 5_000;
export const requestDepthMax = 100;

/** What one application of rules (`tripline apply`) may hold. It is checked rule by rule. */
export const appliedBytesMax = 16 * 1024 * 1024;
export const appliedValuesMax = 1_000_000;
export const appliedAutomationsMax = 10_000;
export const appliedDestinationsMax = 2_000;

/** How many prefixes, labels, patterns and tests of resources a filter for events may hold: databases bound expressions. */
export const filterConditionsMax = 200;

/** How long lists in automations may be: patterns of one trigger, labels of one specification, children, actions, tags. */
export const patternsMax = 1_000;
export const specificationLabelsMax = 500;
export const childTriggersMax = 100;
export const actionsMax = 100;

/** How long the templates in one list of actions may be together, in characters: they are parsed and checked at once. */
export const templatesLengthMax = 100_000;

/** How many references to the environment one text of an action may hold, and how long it may be with their values. */
export const referencesMax = 1_000;
export const filledLengthMax = 2_000_000;

export const tagsMax = 100;

/** How long the names and descriptions of automations, destinations and hooks may be, and each of their tags. */
export const nameLengthMax = 500;
export const descriptionLengthMax = 10_000;

/** How many headers a webhook may have of its own. */
export const headersMax = 100;

/** The longest text of a rule that is kept beside its automation, in characters. A longer one is shown as its definition. */
export const ruleTextLengthMax = 65_536;
