/** Automations as the OpenAPI document shows them. The tests send them to a server. */

export const failuresExample = {
  name: "Pump fails often",
  tags: ["greenhouse"],
  trigger: {
    type: "event",
    posture: "Reactive",
    expect: ["pump.failed"],
    for_each: ["prefect.resource.id"],
    threshold: 3,
    within: "10m",
  },
  actions: [
    {
      type: "call-webhook",
      url: "https://ops.example.org/alarms",
      payload: { text: '{{ event.resource["prefect.resource.id"] }} failed three times' },
    },
  ],
};

export const silenceExample = {
  name: "Pump went quiet",
  trigger: {
    type: "event",
    posture: "Proactive",
    expect: ["pump.beat"],
    for_each: ["prefect.resource.id"],
    within: "90s",
    refire: "once",
  },
  actions: [{ type: "emit-event", event: "pump.quiet" }],
  actions_on_resolve: [{ type: "emit-event", event: "pump.back" }],
};

export const applyExample = {
  automations: [
    {
      definition: {
        name: "Vent stays open",
        trigger: {
          type: "event",
          posture: "Proactive",
          after: ["vent.opened"],
          expect: ["vent.closed"],
          for_each: ["prefect.resource.id"],
          within: "30m",
        },
        actions: [{ type: "call-webhook", url: "${env.OPS_URL}" }],
      },
      file: "rules/vents.yaml",
      secrets: { OPS_URL: "https://ops.example.org/alarms" },
    },
  ],
  dry_run: true,
};
