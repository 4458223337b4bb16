"""Runs the checks named on the command line with Azure's client for Python and prints its observations.

Each line of output is a JSON object. The runner in ../.. compares it with the emulator's events.
The environment has the connection strings, the list of keys and the like (see ../../world.go).
"""

import datetime
import json
import os
import platform
import queue
import sys
import threading
import time
import traceback
from importlib import metadata

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType

# The package's own resolver, which only the buffered producer uses.
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver

RETRY = {"retry_total": 4, "retry_backoff_factor": 0.1, "retry_backoff_max": 5}
DEADLINE = 40  # seconds for each wait of a check


def route(name):
    """How to reach the emulator: connection string and the client's options."""
    if name == "plain":
        return os.environ["INTEROP_CONNECTION_STRING"], {}
    options = {
        "custom_endpoint_address": "sb://" + os.environ[f"INTEROP_{name.upper()}_ADDRESS"],
        "connection_verify": os.environ["INTEROP_CA_FILE"],
        "transport_type": TransportType.AmqpOverWebsocket if name == "websocket" else TransportType.Amqp,
    }
    return os.environ["INTEROP_SERVICE_CONNECTION_STRING"], options


def producer_client(hub, via="plain", **options):
    connection, more = route(via)
    return EventHubProducerClient.from_connection_string(
        connection, eventhub_name=hub, **{**RETRY, **more, **options}
    )


def consumer_client(hub, via="plain", **options):
    connection, more = route(via)
    return EventHubConsumerClient.from_connection_string(
        connection, consumer_group="$Default", eventhub_name=hub, **{**RETRY, **more, **options}
    )


def milliseconds(moment):
    return round(moment.timestamp() * 1000)


def events(count):
    return [EventData(f"event-{i}") for i in range(count)]


def seen(partition, event):
    key = event.partition_key
    return {
        "partition": partition,
        "sequence": event.sequence_number,
        "offset": event.offset,
        "time": milliseconds(event.enqueued_time),
        "key": key.decode() if isinstance(key, bytes) else key or "",
        "body": event.body_as_str(),
    }


class Reader:
    """Receives from one partition, or from all, on its own thread until it is closed."""

    def __init__(self, consumer, partition=None, **options):
        self.items = queue.Queue()
        self.consumer = consumer
        self.thread = threading.Thread(target=self.receive, args=(partition, options))
        self.thread.start()

    def receive(self, partition, options):
        try:
            self.consumer.receive(
                on_event=lambda context, event: self.items.put(seen(context.partition_id, event)),
                on_error=lambda _, error: self.items.put(error),
                partition_id=partition,
                **options,
            )
        except Exception as error:  # the error that ends receive counts too
            self.items.put(error)

    def take(self):
        """The next event, or the error that came instead."""
        return self.items.get(timeout=DEADLINE)

    def close(self):
        self.consumer.close()
        self.thread.join()


def read(consumer, partition, enough, **options):
    """Reads from a position until enough(everything received so far)."""
    reader = Reader(consumer, partition, **options)
    received = []
    try:
        while not enough(received):
            item = reader.take()
            if isinstance(item, Exception):
                raise item
            received.append(item)
    finally:
        reader.close()
    return received


def read_from(hub, pick):
    """Publishes 20 events one by one to partition 0, and reads from the position that pick makes of the eighth."""
    with producer_client(hub) as producer:
        for event in events(20):
            producer.send_batch([event], partition_id="0")

    def enough(received):
        return received and received[-1]["sequence"] == 19

    everything = read(consumer_client(hub), "0", enough, starting_position="-1")
    options, start = pick(everything[7])
    return {"start": start, "received": read(consumer_client(hub), "0", enough, **options)}


def properties(hub):
    with producer_client(hub) as producer:
        producer.send_batch(events(5), partition_id="1")
        about = producer.get_eventhub_properties()
        partitions = []
        for partition in about["partition_ids"]:
            p = producer.get_partition_properties(partition)
            partitions.append(
                {
                    "id": p["id"],
                    "first": p["beginning_sequence_number"],
                    "last": p["last_enqueued_sequence_number"],
                    "offset": p["last_enqueued_offset"],
                    "time": milliseconds(p["last_enqueued_time_utc"]),
                    "empty": p["is_empty"],
                }
            )
        return {"hub": about["eventhub_name"], "partitions": partitions}


def publish(hub):
    with producer_client(hub) as producer:
        producer.send_batch(events(10))
    return {}


def publish_by_key(hub):
    with producer_client(hub) as producer:
        producer.send_batch(events(10), partition_key="motor-7")
    return {"key": "motor-7"}


def publish_to_a_partition(hub):
    with producer_client(hub) as producer:
        for i in range(4):
            producer.send_batch([EventData(f"partition-{i}")], partition_id=str(i))
    return {}


def publish_a_full_batch(hub):
    with producer_client(hub) as producer:
        batch = producer.create_batch()
        while True:
            try:
                batch.add(EventData(f"event-{len(batch)}".ljust(1000, ".")))
            except ValueError:
                break
        producer.send_batch(batch)
        return {"events": len(batch), "bytes": batch.size_in_bytes, "limit": batch.max_size_in_bytes}


def buffered_producer(hub):
    failures = []
    with producer_client(
        hub,
        buffered_mode=True,
        max_wait_time=0.05,
        on_success=lambda sent, partition: None,
        on_error=lambda sent, partition, error: failures.append(error),
    ) as producer:
        for i in range(500):
            producer.send_event(EventData(f"event-{i}"), partition_key=f"key-{i % 20}" if i % 2 else None)
        producer.flush()
    if failures:
        raise failures[0]
    return {"events": 500}


def from_start(_):
    return {"starting_position": "-1"}, {"by": "start"}


def from_offset(event):
    offset = event["offset"]
    return {"starting_position": offset}, {"by": "offset", "offset": offset, "inclusive": False}


def from_sequence(event):
    sequence = event["sequence"]
    options = {"starting_position": sequence, "starting_position_inclusive": True}
    return options, {"by": "sequence", "sequence": sequence, "inclusive": True}


def from_time(event):
    moment = datetime.datetime.fromtimestamp(event["time"] / 1000, datetime.timezone.utc)
    return {"starting_position": moment}, {"by": "time", "time": event["time"], "inclusive": False}


def key_routing(hub):
    with open(os.environ["INTEROP_KEYS"], encoding="utf-8") as file:
        keys = json.load(file)
    with producer_client(hub) as producer:
        for key in keys:
            producer.send_batch([EventData(key)], partition_key=key)
    resolver = PartitionResolver([str(i) for i in range(int(os.environ["INTEROP_KEY_PARTITIONS"]))])
    return {"routes": [resolver.get_partition_id_by_partition_key(key) for key in keys]}


def producer_reconnects(hub):
    with producer_client(hub) as producer:
        for event in events(3):
            producer.send_batch([event], partition_id="0")
    return {"events": 3}


def consumer_reconnects(hub):
    with producer_client(hub) as producer:
        for i in range(4):
            producer.send_batch([EventData(f"partition-{i}")], partition_id=str(i))
    # The emulator closes the connection of the fourth receiver.
    received = read(
        consumer_client(hub),
        None,
        lambda received: len({event["partition"] for event in received}) == 4,
        starting_position="-1",
    )
    return {"received": received}


def refusal_of(error):
    return {"code": type(error).__name__, "message": str(error)}


def epoch_stealing(hub):
    with producer_client(hub) as producer:
        producer.send_batch(events(1), partition_id="0")

    def owner(level):
        consumer = consumer_client(hub, retry_total=0)
        return Reader(consumer, "0", starting_position="-1", owner_level=level)

    def refusal(reader):
        while not isinstance(item := reader.take(), Exception):
            pass
        reader.close()
        return refusal_of(item)

    first = owner(1)
    first.take()
    second = owner(2)
    second.take()
    stolen = refusal(first)
    refused = refusal(owner(1))
    second.close()
    return {"stolen": stolen, "refused": refused}


def sas_refused(hub):
    def send(connection):
        try:
            with EventHubProducerClient.from_connection_string(
                connection, eventhub_name=hub, **{**RETRY, "retry_total": 0}
            ) as producer:
                producer.send_batch(events(1))
        except Exception as error:
            return refusal_of(error)
        return {"code": "", "message": "it was not refused"}

    return {"wrongKey": send(os.environ["INTEROP_WRONG_KEY"]), "listenOnly": send(os.environ["INTEROP_LISTEN_ONLY"])}


def echo(via):
    def check(hub):
        with producer_client(hub, via) as producer:
            producer.send_batch(events(20), partition_id="0")
        received = read(
            consumer_client(hub, via), "0", lambda received: len(received) >= 20, starting_position="-1"
        )
        return {"start": {"by": "start"}, "received": received}

    return check


CHECKS = {
    "properties": properties,
    "publish": publish,
    "publish by key": publish_by_key,
    "publish to a partition": publish_to_a_partition,
    "publish a full batch": publish_a_full_batch,
    "buffered producer": buffered_producer,
    "consume from the start": lambda hub: read_from(hub, from_start),
    "consume from an offset": lambda hub: read_from(hub, from_offset),
    "consume from a sequence number": lambda hub: read_from(hub, from_sequence),
    "consume from a time": lambda hub: read_from(hub, from_time),
    "key routing": key_routing,
    "throttled, then accepted": publish,
    "producer reconnects": producer_reconnects,
    "consumer reconnects": consumer_reconnects,
    "epoch stealing": epoch_stealing,
    "SAS refused": sas_refused,
    "over TLS": echo("tls"),
    "over WebSocket": echo("websocket"),
}


def say(line):
    print(json.dumps(line), flush=True)


def main():
    say(
        {
            "client": "azure-eventhub",
            "version": metadata.version("azure-eventhub"),
            "runtime": "Python " + platform.python_version(),
        }
    )
    for argument in sys.argv[1:]:
        check, hub = argument.split("=")
        started = time.monotonic()
        try:
            line = CHECKS[check](hub)
            say({"check": check, **line, "milliseconds": (time.monotonic() - started) * 1000})
        except Exception:  # a failed check does not end the others
            say({"check": check, "error": traceback.format_exc()})


if __name__ == "__main__":
    main()
