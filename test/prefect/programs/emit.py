"""Emits events like any program: it waits for nothing and just ends.

emit.py NAME COUNT
"""

import sys

from prefect.events import emit_event

name, count = sys.argv[1], int(sys.argv[2])
previous = None
for number in range(count):
    previous = emit_event(
        event=name,
        resource={"prefect.resource.id": f"pump.{number}", "hello": "wörld"},
        related=[{"prefect.resource.id": "line.1", "prefect.resource.role": "line"}],
        payload={"number": number},
        follows=previous if number == 1 else None,
    )
