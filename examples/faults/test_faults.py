"""A program's test under faults of the emulator: pytest examples/faults/test_faults.py

It needs azure-eventhub, pytest, and the program eventhubs (in PATH, or in the variable EVENTHUBS).
"""

import json
import os
import re
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import EventDataSendError, EventHubError


class Emulator:
    def __init__(self):
        command = [os.environ.get("EVENTHUBS", "eventhubs"), "emulator", "--hub", "orders:1", "--http", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.connection_string = self.process.stdout.readline().strip()
        self.page = None
        for line in self.process.stderr:  # written before the connection string
            if found := re.match(r"Page: (http://\S+/)", line):
                self.page = found[1]
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def call(self, method, path, **body):
        """Calls the emulator's HTTP API."""
        request = urllib.request.Request(
            self.page + path,
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def fault(self, rule):
        return self.call("POST", "api/faults", rule=rule)["id"]


@pytest.fixture(scope="session")
def server():
    emulator = Emulator()
    yield emulator
    emulator.process.terminate()
    emulator.process.wait(timeout=10)


@pytest.fixture
def emulator(server):
    yield server
    server.call("DELETE", "api/faults")  # the next test begins without faults


def send(emulator, **options):  # stands for the code under test
    producer = EventHubProducerClient.from_connection_string(
        emulator.connection_string, eventhub_name="orders", retry_backoff_factor=0.01, **options
    )
    with producer:
        producer.send_batch([EventData("an order")])


def stored(emulator):
    return emulator.call("GET", "api/hubs/orders")["events"]


def test_a_lost_connection_is_retried(emulator):
    before = stored(emulator)
    fault = emulator.fault("cut-before hub=orders count=2")
    send(emulator)
    assert stored(emulator) == before + 1
    hits = {f["id"]: f["hits"] for f in emulator.call("GET", "api/faults")["faults"]}
    assert hits[fault] == 2


def test_a_throttled_send_is_reported(emulator):
    emulator.fault("throttle hub=orders")  # this client does not retry what the service rejects
    with pytest.raises(EventDataSendError, match="is being throttled"):
        send(emulator)


def test_an_event_may_be_stored_twice(emulator):
    before = stored(emulator)
    emulator.fault("cut-after hub=orders count=1")  # the acknowledgement is lost with the connection
    send(emulator)
    assert stored(emulator) == before + 2


def test_a_disabled_hub_is_reported(emulator):
    emulator.call("PATCH", "api/hubs/orders", disabled=True)
    try:
        with pytest.raises(EventHubError, match="is disabled"):
            send(emulator, retry_total=0)
    finally:
        emulator.call("PATCH", "api/hubs/orders", disabled=False)


def test_a_wrong_rule_names_its_field(emulator):
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.fault("throttle hub=order")
    assert json.load(refused.value)["field"] == "hub"
