"""A program's tests under faults of the emulator, which runs them and ends with their status:

eventhubs emulator --hub orders:1 --http :0 -- pytest
"""

import json
import os
import urllib.error
import urllib.request

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import EventDataSendError, EventHubError


def call(method, path, **body):
    """Calls the emulator's HTTP API."""
    request = urllib.request.Request(
        os.environ["EVENTHUBS_EMULATOR_URL"] + path,
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def set_fault(rule):
    return call("POST", "/api/faults", rule=rule)["id"]


def stored():
    return call("GET", "/api/hubs/orders")["events"]


@pytest.fixture(autouse=True)
def clear_faults():
    yield
    call("DELETE", "/api/faults")  # the next test begins without faults


def send(**options):  # stands for the code under test
    producer = EventHubProducerClient.from_connection_string(
        os.environ["EVENTHUBS_CONNECTION_STRING"], eventhub_name="orders", retry_backoff_factor=0.01, **options
    )
    with producer:
        producer.send_batch([EventData("an order")])


def test_a_lost_connection_is_retried():
    before = stored()
    fault = set_fault("cut-before hub=orders count=2")
    send()
    assert stored() == before + 1
    hits = {f["id"]: f["hits"] for f in call("GET", "/api/faults")["faults"]}
    assert hits[fault] == 2


def test_a_throttled_send_is_reported():
    set_fault("throttle hub=orders")  # this client does not retry what the service rejects
    with pytest.raises(EventDataSendError, match="is being throttled"):
        send()


def test_an_event_may_be_stored_twice():
    before = stored()
    set_fault("cut-after hub=orders count=1")  # the acknowledgement is lost with the connection
    send()
    assert stored() == before + 2


def test_a_disabled_hub_is_reported():
    call("PATCH", "/api/hubs/orders", disabled=True)
    try:
        with pytest.raises(EventHubError, match="is disabled"):
            send(retry_total=0)
    finally:
        call("PATCH", "/api/hubs/orders", disabled=False)


def test_a_wrong_rule_names_its_field():
    with pytest.raises(urllib.error.HTTPError) as refused:
        set_fault("throttle hub=order")
    assert json.load(refused.value)["field"] == "hub"
