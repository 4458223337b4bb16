package emulatorhttp

// Tests read the answers with these types.
type (
	Snapshot   = snapshotJSON
	Events     = eventsJSON
	Event      = eventJSON
	Body       = bodyJSON
	Property   = propertyJSON
	Rule       = ruleJSON
	HubSummary = hubSummaryJSON
)
