"""Emits good events with bad ones among them. Prints how many bad ones the client itself did not refuse.

emit_bad.py NAME COUNT
"""

import sys

from prefect.events import emit_event

name, count = sys.argv[1], int(sys.argv[2])


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


pump = {"prefect.resource.id": "pump.1"}
line = {"prefect.resource.id": "line.1", "prefect.resource.role": "line"}
bad = [
    dict(event="bad", resource=pump, payload=nested(120)),
    dict(event="bad", resource=pump, payload={"text": "x" * 1_600_000}),
    dict(event="b" * 1_100, resource=pump),
    dict(event="bad", resource=pump, related=[line] * 101),
    dict(event="bad", resource={**pump, **{f"label-{n}": "x" for n in range(600)}}),
]
sent = 0
for number in range(count):
    emit_event(event=name, resource={"prefect.resource.id": f"pump.{number}"}, payload={"number": number})
    if number % 4 == 3 and bad:
        sent += emit_event(**bad.pop(0)) is not None
print(sent)
