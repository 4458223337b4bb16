"""Publishes a shop's orders to an event hub."""

import json

from azure.eventhub import EventData, EventHubProducerClient


def publish(connection_string, hub, orders):
    """Returns when the hub has stored the orders. A customer's orders keep their sequence."""
    with EventHubProducerClient.from_connection_string(connection_string, eventhub_name=hub) as producer:
        for order in orders:
            producer.send_event(EventData(json.dumps(order)), partition_key=order["customer"])
