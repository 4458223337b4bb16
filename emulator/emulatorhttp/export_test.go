package emulatorhttp

// What the tests read the answers with.
type (
	Snapshot = snapshotJSON
	Events   = eventsJSON
	Event    = eventJSON
	Body     = bodyJSON
	Property = propertyJSON
)
