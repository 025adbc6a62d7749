"""Emits events with version 2 of the client, whose emit_event has fewer parameters.

emit_old.py NAME
"""

import sys

from prefect.events import emit_event

emit_event(
    event=sys.argv[1],
    resource={"prefect.resource.id": "pump.1"},
    payload={"litres": 3, "order": 9400053101578681001},
)
