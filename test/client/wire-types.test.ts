/** The client's generated types, compared with those that TypeScript derives from the server's schemas. */

import { readFileSync } from "node:fs";
import { expect, expectTypeOf, test } from "vitest";
import type { z } from "zod";
import { wireTypesText } from "../../scripts/write-client-types.ts";
import type { ActivitySchema } from "../../src/api/automations/activity.ts";
import type { ApplySchema } from "../../src/api/automations/apply.ts";
import type { AppliedRulesSchema } from "../../src/api/automations/automation-answers.ts";
import type {
  AutomationCreateSchema,
  AutomationUpdateSchema,
} from "../../src/api/automations/automation-input.ts";
import type { AutomationChangesSchema } from "../../src/api/automations/changes.ts";
import type { RuleSourceSchema, RulesSchema } from "../../src/api/automations/rule-answers.ts";
import type {
  DeliveryCountsSchema,
  DeliveryPageSchema,
  ListedStateSchema,
} from "../../src/api/deliveries/delivery-answers.ts";
import type { DeliveryOutcomesSchema } from "../../src/api/deliveries/delivery-changes.ts";
import type { DestinationTestSchema } from "../../src/api/deliveries/message-answers.ts";
import type { DestinationsHealthSchema } from "../../src/api/destinations/destination-health.ts";
import type { DestinationViewSchema } from "../../src/api/destinations/destinations.ts";
import type {
  EventChainSchema,
  EventCountSchema,
  EventPageSchema,
} from "../../src/api/events/event-answers.ts";
import type {
  AllExplanationsSchema,
  AllWindowsSchema,
  ExplanationSchema,
  LookupSchema,
  WindowCountsSchema,
  WindowsSchema,
} from "../../src/api/explain/explain-answers.ts";
import type { TimelineSchema } from "../../src/api/explain/timeline-answers.ts";
import type { TraceSchema } from "../../src/api/explain/trace-answers.ts";
import type { ApiKeysSchema, CreatedApiKeySchema, NewApiKeySchema } from "../../src/api/keys/keys.ts";
import type { AutomationMapSchema } from "../../src/api/map/map-answers.ts";
import type { OverviewSchema } from "../../src/api/overview/overview-answers.ts";
import type { DoctorReportSchema } from "../../src/api/server/doctor.ts";
import type { ServerSettingsSchema } from "../../src/api/server/settings.ts";
import type { Application, ListedState } from "../../src/client/types.ts";
import type * as wire from "../../src/client/wire-types.ts";
import type * as stored from "../../src/core/model/automation-view.ts";
import type { DestinationSchema } from "../../src/core/model/destination.ts";
import type { EventSchema, ReceivedEvent } from "../../src/core/model/event.ts";
import type { CountRequestSchema } from "../../src/history/count-by.ts";

const file = new URL("../../src/client/wire-types.ts", import.meta.url);

/** Without whitespace and punctuation, which the formatter may change. */
const withoutLayout = (text: string) => text.replaceAll(/[\s|;,()]+/g, "");

test("the generated types match the schemas (npm run client-types)", () => {
  expect(withoutLayout(readFileSync(file, "utf8")) === withoutLayout(wireTypesText())).toBe(true);
});

test("the generated types import nothing, so that a project needs no other package for them", () => {
  expect(readFileSync(file, "utf8")).not.toMatch(/\bimport\b/);
});

/** The client changes nothing that it is given, so its types are readonly all the way down. */
type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;
/** A trigger refers to itself, which TypeScript cannot derive from a schema. */
type Untriggered<T> = Omit<T, "trigger">;

// The compiler checks the rest (`npm run types`). Nothing below runs as a test.

void function whatTheClientTakesIsWhatTheServerTakes(): void {
  type Event = DeepReadonly<z.input<typeof EventSchema>>;
  expectTypeOf<wire.EmittedEvent>().toExtend<Event>();
  expectTypeOf<Event>().toExtend<wire.EmittedEvent>();
  type Creation = DeepReadonly<Untriggered<z.input<typeof AutomationCreateSchema>>>;
  expectTypeOf<Untriggered<wire.NewAutomation>>().toExtend<Creation>();
  expectTypeOf<Creation>().toExtend<Untriggered<wire.NewAutomation>>();
  type Update = DeepReadonly<Untriggered<z.input<typeof AutomationUpdateSchema>>>;
  expectTypeOf<Untriggered<wire.AutomationUpdate>>().toExtend<Update>();
  expectTypeOf<Update>().toExtend<Untriggered<wire.AutomationUpdate>>();
  type Trigger = DeepReadonly<z.input<typeof AutomationCreateSchema>["trigger"]>;
  expectTypeOf<wire.NewTrigger>().toExtend<Trigger>();
  type Destination = DeepReadonly<z.input<typeof DestinationSchema>>;
  expectTypeOf<wire.NewDestination>().toExtend<Destination>();
  expectTypeOf<Destination>().toExtend<wire.NewDestination>();
  type Count = DeepReadonly<z.input<typeof CountRequestSchema>>;
  expectTypeOf<wire.EventCountRequest>().toExtend<Count>();
  expectTypeOf<Count>().toExtend<wire.EventCountRequest>();
  type Key = DeepReadonly<z.input<typeof NewApiKeySchema>>;
  expectTypeOf<wire.NewApiKey>().toExtend<Key>();
  expectTypeOf<Key>().toExtend<wire.NewApiKey>();
  type Rules = DeepReadonly<z.input<typeof ApplySchema>>;
  expectTypeOf<Rules>().toExtend<Application>();
  expectTypeOf<keyof Application>().toEqualTypeOf<keyof Rules>();
};

void function whatTheClientReturnsIsWhatTheServerAnswers(): void {
  expectTypeOf<DeepReadonly<stored.AutomationView>>().toExtend<wire.AutomationView>();
  expectTypeOf<Omit<wire.AutomationView, "source">>().toExtend<
    DeepReadonly<Omit<stored.AutomationView, "source">>
  >();
  expectTypeOf<ReceivedEvent>().toExtend<wire.ReceivedEvent>();
  expectTypeOf<wire.ReceivedEvent>().toExtend<ReceivedEvent>();
  type Page = DeepReadonly<z.output<typeof EventPageSchema>>;
  expectTypeOf<wire.EventPage>().toExtend<Page>();
  expectTypeOf<Page>().toExtend<wire.EventPage>();
  type Count = DeepReadonly<z.output<typeof EventCountSchema>>;
  expectTypeOf<wire.EventCount>().toExtend<Count>();
  expectTypeOf<Count>().toExtend<wire.EventCount>();
  type Chain = DeepReadonly<z.output<typeof EventChainSchema>>;
  expectTypeOf<wire.EventChain>().toExtend<Chain>();
  expectTypeOf<Chain>().toExtend<wire.EventChain>();
  type Activity = DeepReadonly<z.output<typeof ActivitySchema>>;
  expectTypeOf<wire.Activity>().toExtend<Activity>();
  expectTypeOf<Activity>().toExtend<wire.Activity>();
  type Timeline = DeepReadonly<z.output<typeof TimelineSchema>>;
  expectTypeOf<wire.Timeline>().toExtend<Timeline>();
  expectTypeOf<Timeline>().toExtend<wire.Timeline>();
  type Applied = DeepReadonly<z.output<typeof AppliedRulesSchema>>;
  expectTypeOf<wire.AppliedRules>().toExtend<Applied>();
  expectTypeOf<Applied>().toExtend<wire.AppliedRules>();
  type Windows = DeepReadonly<z.output<typeof WindowsSchema>>;
  expectTypeOf<wire.Windows>().toExtend<Windows>();
  expectTypeOf<Windows>().toExtend<wire.Windows>();
  type AllWindows = DeepReadonly<z.output<typeof AllWindowsSchema>>;
  expectTypeOf<wire.AllWindows>().toExtend<AllWindows>();
  expectTypeOf<AllWindows>().toExtend<wire.AllWindows>();
  type WindowCounts = DeepReadonly<z.output<typeof WindowCountsSchema>>;
  expectTypeOf<readonly wire.WindowCount[]>().toExtend<WindowCounts>();
  expectTypeOf<WindowCounts>().toExtend<readonly wire.WindowCount[]>();
  type Overview = DeepReadonly<z.output<typeof OverviewSchema>>;
  expectTypeOf<wire.Overview>().toExtend<Overview>();
  expectTypeOf<Overview>().toExtend<wire.Overview>();
  type Explanation = DeepReadonly<z.output<typeof ExplanationSchema>>;
  expectTypeOf<wire.Explanation>().toExtend<Explanation>();
  expectTypeOf<Explanation>().toExtend<wire.Explanation>();
  type AllExplanations = DeepReadonly<z.output<typeof AllExplanationsSchema>>;
  expectTypeOf<wire.AllExplanations>().toExtend<AllExplanations>();
  expectTypeOf<AllExplanations>().toExtend<wire.AllExplanations>();
  type Lookup = DeepReadonly<z.output<typeof LookupSchema>>;
  expectTypeOf<wire.Lookup>().toExtend<Lookup>();
  expectTypeOf<Lookup>().toExtend<wire.Lookup>();

  type Source = DeepReadonly<z.output<typeof RuleSourceSchema>>;
  expectTypeOf<wire.RuleSource>().toExtend<Source>();
  expectTypeOf<Omit<Source, "words">>().toExtend<Omit<wire.RuleSource, "words">>();
  type Found = DeepReadonly<z.output<typeof RulesSchema>>;
  expectTypeOf<wire.Rules>().toExtend<Found>();
  expectTypeOf<Found>().toExtend<wire.Rules>();
  type Trace = DeepReadonly<z.output<typeof TraceSchema>>;
  expectTypeOf<wire.Trace>().toExtend<Trace>();
  expectTypeOf<Trace>().toExtend<wire.Trace>();
  type Deliveries = DeepReadonly<z.output<typeof DeliveryPageSchema>>;
  expectTypeOf<wire.DeliveryPage>().toExtend<Deliveries>();
  expectTypeOf<Deliveries>().toExtend<wire.DeliveryPage>();
  expectTypeOf<ListedState>().toEqualTypeOf<z.infer<typeof ListedStateSchema>>();
  type DeliveryCounts = DeepReadonly<z.output<typeof DeliveryCountsSchema>>;
  expectTypeOf<wire.DeliveryCounts>().toEqualTypeOf<DeliveryCounts>();
  type Outcomes = DeepReadonly<z.output<typeof DeliveryOutcomesSchema>>;
  expectTypeOf<wire.DeliveryOutcomes>().toExtend<Outcomes>();
  expectTypeOf<Outcomes>().toExtend<wire.DeliveryOutcomes>();
  type Test = DeepReadonly<z.output<typeof DestinationTestSchema>>;
  expectTypeOf<wire.DestinationTest>().toExtend<Test>();
  expectTypeOf<Test>().toExtend<wire.DestinationTest>();
  type Health = DeepReadonly<z.output<typeof DestinationsHealthSchema>>;
  expectTypeOf<wire.DestinationsHealth>().toExtend<Health>();
  expectTypeOf<Health>().toExtend<wire.DestinationsHealth>();
  type Map = DeepReadonly<z.output<typeof AutomationMapSchema>>;
  expectTypeOf<wire.AutomationMap>().toExtend<Map>();
  expectTypeOf<Map>().toExtend<wire.AutomationMap>();
  type Changes = DeepReadonly<z.output<typeof AutomationChangesSchema>>;
  expectTypeOf<wire.AutomationChanges>().toExtend<Changes>();
  expectTypeOf<Changes>().toExtend<wire.AutomationChanges>();
  type Keys = DeepReadonly<z.output<typeof ApiKeysSchema>>;
  expectTypeOf<wire.ApiKeys>().toExtend<Keys>();
  expectTypeOf<Keys>().toExtend<wire.ApiKeys>();
  type CreatedKey = DeepReadonly<z.output<typeof CreatedApiKeySchema>>;
  expectTypeOf<wire.CreatedApiKey>().toExtend<CreatedKey>();
  expectTypeOf<CreatedKey>().toExtend<wire.CreatedApiKey>();
  type Settings = DeepReadonly<z.output<typeof ServerSettingsSchema>>;
  expectTypeOf<wire.ServerSettings>().toExtend<Settings>();
  expectTypeOf<Settings>().toExtend<wire.ServerSettings>();
  type Report = DeepReadonly<z.output<typeof DoctorReportSchema>>;
  expectTypeOf<wire.DoctorReport>().toExtend<Report>();
  expectTypeOf<Report>().toExtend<wire.DoctorReport>();
  type Destination = DeepReadonly<z.output<typeof DestinationViewSchema>>;
  expectTypeOf<wire.DestinationView>().toExtend<Destination>();
  expectTypeOf<Destination>().toExtend<wire.DestinationView>();
};
