"""Prints the ids of matching events, and ends after COUNT of them.

subscribe.py PREFIX COUNT
"""

import asyncio
import sys

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

prefix, count = sys.argv[1], int(sys.argv[2])
events = EventFilter(
    event=EventNameFilter(prefix=[prefix], exclude_name=[prefix + "no"]),
    any_resource=EventAnyResourceFilter(id=["line.1"]),
)


async def main() -> None:
    left = count
    async with get_events_subscriber(filter=events) as subscriber:
        print("subscribed", flush=True)
        async for event in subscriber:
            print(event.id, event.resource.id, flush=True)
            left -= 1
            if left == 0:
                break


asyncio.run(main())
