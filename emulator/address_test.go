package emulator

import "testing"

func TestAddressesAreTakenApart(t *testing.T) {
	for _, test := range []struct {
		text string
		want address
	}{
		{"$cbs", address{node: nodeCBS}},
		{"$CBS", address{node: nodeCBS}},
		{"$management", address{node: nodeManagement}},
		{"hub/$management", address{node: nodeManagement, hub: "hub"}},
		{"team/hub/$management", address{node: nodeManagement, hub: "team/hub"}},
		{"hub/ConsumerGroups/g/$management", address{node: nodeManagement, hub: "hub", group: "g", hasGroup: true}},
		{"team/hub/consumergroups/$Default/$Management", address{node: nodeManagement, hub: "team/hub", group: "$Default", hasGroup: true}},
		{"ConsumerGroups/g/$management", address{node: nodeManagement, hub: "ConsumerGroups/g"}},
		{"hub", address{hub: "hub"}},
		{"team/hub", address{hub: "team/hub"}},
		{"hub/Partitions/0", address{hub: "hub", partition: "0", hasPartition: true}},
		{"hub/partitions/12", address{hub: "hub", partition: "12", hasPartition: true}},
		{"hub/Partitions/", address{hub: "hub/Partitions"}},
		{"hub/Publishers/me", address{hub: "hub", publisher: "me", hasPublisher: true}},
		{"hub/Publishers/me/Partitions/1", address{hub: "hub", publisher: "me", hasPublisher: true, partition: "1", hasPartition: true}},
		{"hub/ConsumerGroups/$Default/Partitions/1", address{hub: "hub", group: "$Default", hasGroup: true, partition: "1", hasPartition: true}},
		{"team/hub/consumergroups/g/partitions/1", address{hub: "team/hub", group: "g", hasGroup: true, partition: "1", hasPartition: true}},
		{"Partitions/1", address{hub: "Partitions/1"}},
		{"", address{}},
	} {
		for _, front := range []string{"", "/", "amqps://localhost:5672/"} { // Go and others, .NET, Python
			want := test.want
			want.text = test.text
			if got := parseAddress(front + test.text); got != want {
				t.Errorf("parseAddress(%q) = %+v, want %+v", front+test.text, got, want)
			}
		}
	}
}

func TestAudiencesOfAllClientsAreTakenApart(t *testing.T) {
	for _, test := range []struct{ text, hub, partition string }{
		{"amqp://localhost:5672/hub", "hub", ""},
		{"amqps://ns.servicebus.windows.net/hub/Partitions/3", "hub", "3"},
		{"sb://localhost:5672/hub/ConsumerGroups/$Default/Partitions/3", "hub", "3"},
		{"amqp://localhost:5672/hub/$management", "hub", ""},
		{"amqps://localhost/hub/ConsumerGroups/$Default/$management", "hub", ""},
		{"sb://ns.servicebus.windows.net", "", ""},
		{"", "", ""},
	} {
		if got := parseAudience(test.text); got.hub != test.hub || got.partition != test.partition {
			t.Errorf("parseAudience(%q) has hub %q and partition %q, want %q and %q", test.text, got.hub, got.partition, test.hub, test.partition)
		}
	}
}
