"""Creates, changes and deletes automations, and prints what it sees as JSON.

automations.py EVENT BLOCK_DOCUMENT_ID
"""

import json
import sys
from datetime import timedelta
from uuid import UUID

from prefect.automations import Automation
from prefect.events.actions import CallWebhook, DoNothing
from prefect.events.schemas.automations import (
    CompoundTrigger,
    EventTrigger,
    Posture,
    SequenceTrigger,
)

event, destination = sys.argv[1], UUID(sys.argv[2])
seen: dict[str, object] = {}

made = Automation(
    name=f"python {event}",
    description="made in Python",
    trigger=EventTrigger(
        expect={event},
        match={"prefect.resource.id": "pump.*"},
        match_related=[{"prefect.resource.role": "line"}],
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(seconds=0),
    ),
    actions=[
        CallWebhook(
            block_document_id=destination,
            payload='{"stopped": "{{ event.resource.id }}", "automation": "{{ automation.name }}"}',
        )
    ],
).create()
seen["created"] = made.id is not None

by_id = Automation.read(id=made.id)
by_name = Automation.read(name=made.name)
seen["same"] = by_id.model_dump() == by_name.model_dump()
seen["trigger"] = by_id.trigger.model_dump(mode="json", exclude={"id"})

by_id.description = "changed in Python"
by_id.tags = ["python"]
by_id.update()
changed = Automation.read(id=made.id)
seen["changed"] = [changed.description, changed.tags, changed.actions == made.actions]

seen["disabled"] = [made.disable(), Automation.read(id=made.id).enabled]
seen["enabled"] = [made.enable(), Automation.read(id=made.id).enabled]

nested = Automation(
    name=f"nested {event}",
    trigger=CompoundTrigger(
        require="all",
        within=timedelta(minutes=1),
        triggers=[
            EventTrigger(expect={"a"}, threshold=2, posture=Posture.Reactive),
            SequenceTrigger(
                within=None,
                triggers=[
                    EventTrigger(expect={"b"}, threshold=1, posture=Posture.Reactive),
                    EventTrigger(
                        expect={"c"},
                        threshold=1,
                        posture=Posture.Proactive,
                        within=timedelta(seconds=90),
                    ),
                ],
            ),
        ],
    ),
    actions=[DoNothing()],
).create()
read = Automation.read(id=nested.id)
seen["nested"] = [
    read.trigger.require,
    read.trigger.within.total_seconds(),
    [type(child).__name__ for child in read.trigger.triggers],
    read.trigger.triggers[1].triggers[1].within.total_seconds(),
]
# What was read can be written back unchanged.
read.update()
seen["unchanged"] = Automation.read(id=nested.id).trigger.triggers[1].within
seen["deleted"] = [nested.delete(), nested.delete(), nested.disable()]

print(json.dumps(seen))
