/** The actions that pause and resume automations. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { automationOf, invocationOf, pumpEvent, startActions } from "./support.ts";

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

describe("pause-automation and resume-automation", () => {
  test("change the automation given by its id or name", async () => {
    const actions = startActions(redis.url);
    actions.work();
    const [vents, lamps] = ["vents", "lamps"].map((name) => automationOf({ type: "do-nothing" }, { name }));
    await actions.log.putAutomations([vents!, lamps!]);
    const enabled = async () =>
      (await Promise.all([vents, lamps].map((automation) => actions.log.automation(automation!.id)))).map(
        (automation) => automation?.enabled,
      );

    const pauses = [
      invocationOf({ type: "pause-automation", automation_id: vents!.id }),
      invocationOf({ type: "pause-automation", automation: "lamps" }),
    ];
    await actions.queue.addInvocations(pauses);
    await Promise.all(pauses.map((pause) => actions.outcome(pause)));
    expect(await enabled()).toEqual([false, false]);

    const resume = invocationOf({ type: "resume-automation", automation: "lamps" });
    await actions.queue.addInvocations([resume]);
    expect((await actions.outcome(resume)).payload).toMatchObject({ automation: "lamps", enabled: true });
    expect(await enabled()).toEqual([false, true]);
  });

  test("report the change once, as a consequence of the firing, and only if there is one", async () => {
    const actions = startActions(redis.url);
    actions.work();
    const vents = automationOf({ type: "do-nothing" }, { name: "vents" });
    await actions.log.putAutomations([vents]);
    const before = Date.now();
    const pauses = [1, 2].map(() => invocationOf({ type: "pause-automation", automation: "vents" }));
    for (const pause of pauses) {
      await actions.queue.addInvocations([pause]);
      await actions.outcome(pause);
    }
    const updates = (await actions.events()).filter(
      ({ event }) => event === "prefect-cloud.automation.updated",
    );
    expect(updates).toMatchObject([{ follows: pauses[0]!.firingEventId }]);
    const occurred = Date.parse(updates[0]?.occurred ?? "");
    expect(occurred).toBeGreaterThanOrEqual(before);
    expect(occurred).toBeLessThanOrEqual(Date.now());
    expect((await actions.log.automation(vents.id))?.updated).toBe(occurred * 1_000);
  });

  test.each(["prefect-cloud.automation.ID", "prefect.automation.ID", "prefect-cloud.automation.ID.action.0"])(
    "find the automation in the triggering event: %s",
    async (resourceId) => {
      const actions = startActions(redis.url);
      actions.work();
      const vents = automationOf({ type: "do-nothing" }, { name: "vents" });
      await actions.log.putAutomations([vents]);
      const related = [
        { "prefect.resource.id": resourceId.replace("ID", vents.id), "prefect.resource.role": "automation" },
      ];
      const event = pumpEvent({ related });
      const invocation = invocationOf({ type: "pause-automation", source: "inferred" }, { event });
      await actions.queue.addInvocations([invocation]);
      await actions.outcome(invocation);
      expect(await actions.log.automation(vents.id)).toMatchObject({ enabled: false });
    },
  );

  test.each([
    [{ automation: "no such" }, 'no automation is named "no such"'],
    [
      { automation_id: "11111111-1111-4111-8111-111111111111" },
      "automation 11111111-1111-4111-8111-111111111111 does not exist",
    ],
    [{ source: "inferred" }, "the triggering event does not refer to an automation"],
  ])("fail with the reason: %j", async (fields, reason) => {
    const actions = startActions(redis.url);
    actions.work();
    const invocation = invocationOf({ type: "pause-automation", ...fields });
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).payload).toMatchObject({ reason });
  });
});
