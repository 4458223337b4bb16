import json
import threading
from urllib.request import urlopen

from azure.eventhub import EventHubConsumerClient

import orders

ORDERS = [{"id": 1, "customer": "ann"}, {"id": 2, "customer": "bob"}, {"id": 3, "customer": "ann"}]


def test_orders_have_their_customer_as_key(emulator):
    orders.publish(emulator["EVENTHUBS_CONNECTION_STRING"], "orders", ORDERS)

    with urlopen(emulator["EVENTHUBS_EMULATOR_URL"] + "/api/events?hub=orders") as answer:
        events = json.load(answer)["events"]
    stored = [(event["key"], json.loads(event["body"]["text"])["id"]) for event in events]
    assert sorted(stored) == [("ann", 1), ("ann", 3), ("bob", 2)]


def test_a_customers_orders_are_read_in_sequence(emulator):
    orders.publish(emulator["EVENTHUBS_CONNECTION_STRING"], "orders", ORDERS)

    read, complete = [], threading.Event()

    def on_event(_, event):
        read.append(event.body_as_json())
        if len(read) == len(ORDERS):
            complete.set()

    consumer = EventHubConsumerClient.from_connection_string(
        emulator["EVENTHUBS_CONNECTION_STRING"], consumer_group="$Default", eventhub_name="orders"
    )
    receiving = threading.Thread(target=consumer.receive, kwargs={"on_event": on_event, "starting_position": "-1"})
    receiving.start()
    assert complete.wait(timeout=30), f"read only {read}"
    consumer.close()
    receiving.join()
    assert [order["id"] for order in read if order["customer"] == "ann"] == [1, 3]
