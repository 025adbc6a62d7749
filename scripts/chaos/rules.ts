/** The rules of a chaos run: one of each kind of trigger. What they must do is in plans.ts. */

/** Longer than any fault keeps events from the log; shorter ones would report services that are alive. */
export const heartbeatLatenessMs = 75_000;
export const heartbeatWithinMs = 20_000;
export const thresholdCount = 3;

export const receiverNames = ["a", "b", "c"] as const;

export type ReceiverName = (typeof receiverNames)[number];

/** @param urls of the receivers */
export function rulesFor(urls: Readonly<Record<ReceiverName, string>>): string {
  const webhook = (receiver: ReceiverName) =>
    `[{ type: call-webhook, url: "${urls[receiver]}", timeout: 5s }]`;
  const presence = receiverNames.map(
    (receiver) => `
  - name: presence-${receiver}
    trigger: { expect: [chaos.presence.${receiver}] }
    actions: ${webhook(receiver)}`,
  );
  return `automations:${presence.join("")}
  - name: threshold
    trigger:
      expect: [chaos.failed]
      for_each: [prefect.resource.id]
      threshold: ${thresholdCount}
      within: 10m
    actions: ${webhook("b")}
  - name: heartbeat
    trigger:
      posture: Proactive
      expect: [chaos.heartbeat]
      for_each: [prefect.resource.id]
      within: ${heartbeatWithinMs / 1_000}s
      lateness: ${heartbeatLatenessMs / 1_000}s
      refire: once
      # The lateness covers outages, so a silence that was planned must be reported although the API was down in it.
      on_gap: fire
    actions: ${webhook("a")}
    actions_on_resolve: ${webhook("a")}
  - name: sequence
    trigger:
      type: sequence
      within: 10m
      for_each: [prefect.resource.id]
      triggers:
        - expect: [chaos.step.one]
        - expect: [chaos.step.two]
    actions: ${webhook("c")}
  - name: composite
    trigger:
      type: compound
      require: all
      within: 10m
      for_each: [prefect.resource.id]
      triggers:
        - expect: [chaos.left]
        - expect: [chaos.right]
    actions: ${webhook("b")}
  - name: link
    trigger: { expect: [chaos.link] }
    actions: [{ type: emit-event, event: chaos.linked }]
  - name: chain
    trigger: { expect: [chaos.linked] }
    actions: ${webhook("c")}
`;
}
