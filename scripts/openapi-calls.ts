/** Programs that call a real server with the generated clients: part of `npm run openapi:check`. */

/** Emits an event and finds it again. */
export const pythonCalls = `
import sys, uuid
from client import Client
from client.api.events import emit_events, filter_events
from client.models.event import Event
from client.models.event_query import EventQuery

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)
id = str(uuid.uuid4())
event = Event.from_dict({
    "id": id,
    "occurred": "2026-03-01T09:30:00Z",
    "event": "pump.stopped",
    "resource": {"prefect.resource.id": "pump.1"},
})
assert emit_events.sync_detailed(client=client, body=[event]).status_code == 204
query = EventQuery.from_dict({"filter": {"occurred": {"since": "2026-01-01T00:00:00Z"}, "id": {"id": [id]}}})
page = filter_events.sync(client=client, body=query)
assert [str(found.id) for found in page.events] == [id], page
`;

/** Reads a page of events with the clients of both generators for Go. */
export const goCalls = `package main

import (
	"context"
	"log"
	"os"

	"example.org/tripline/oapi"
	"example.org/tripline/ogen"
	"github.com/ogen-go/ogen/ogenerrors"
)

type noKey struct{}

func (noKey) Basic(context.Context, ogen.OperationName) (ogen.Basic, error) {
	return ogen.Basic{}, ogenerrors.ErrSkipClientSecurity
}

func (noKey) Key(context.Context, ogen.OperationName) (ogen.Key, error) {
	return ogen.Key{}, ogenerrors.ErrSkipClientSecurity
}

func main() {
	ctx := context.Background()
	first, err := oapi.NewClientWithResponses(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	answer, err := first.FilterEventsWithResponse(ctx, oapi.EventQuery{})
	if err != nil || answer.JSON200 == nil {
		log.Fatalf("oapi-codegen: %v %+v", err, answer)
	}
	second, err := ogen.NewClient(os.Args[1], noKey{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := second.FilterEvents(ctx, ogen.OptEventQuery{})
	if _, ok := result.(*ogen.EventPageHeaders); err != nil || !ok {
		log.Fatalf("ogen: %v %+v", err, result)
	}
}
`;
