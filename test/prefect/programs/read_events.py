"""Reads events page by page, with the async and the sync client, and prints what it found as JSON.

read_events.py NAME LIMIT
"""

import asyncio
import json
import sys

from prefect.client.orchestration import get_client
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder

name, limit = sys.argv[1], int(sys.argv[2])
events = EventFilter(event=EventNameFilter(name=[name]), order=EventOrder.ASC)


async def in_async() -> dict[str, object]:
    async with get_client() as client:
        page = await client.read_events(events, limit=limit)
        first = page
        pages = []
        while page is not None:
            pages.append([str(event.id) for event in page.events])
            page = await page.get_next_page(client)
        whole = await client.read_events(events)  # the client requests 100
        return {
            "pages": pages,
            "total": first.total,
            "whole": len(whole.events),
            "number": first.events[0].payload["number"],
            "label": first.events[0].resource["hello"],
        }


def in_sync() -> list[int]:
    with get_client(sync_client=True) as client:
        page = client.read_events(events, limit=limit)
        sizes = []
        while page is not None:
            sizes.append(len(page.events))
            page = page.get_next_page_sync(client)
        return sizes


print(json.dumps({**asyncio.run(in_async()), "sizes": in_sync()}))
