"""Sends or receives under the faults of the runner with Azure's client for Python and default options.

All hubs of the command line run at the same time. It prints the lines that ../faults/main.go describes.
"""

import json
import os
import sys
import threading
import time
from importlib import metadata

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

CONNECTION = os.environ["INTEROP_CONNECTION_STRING"]
LOCK = threading.Lock()


def say(**line):
    with LOCK:
        print(json.dumps(line), flush=True)


def describe(error):
    if error is None:
        return {"class": "", "message": ""}
    return {"class": type(error).__name__, "message": str(error)}


def send(hub, blind):
    producer = EventHubProducerClient.from_connection_string(CONNECTION, eventhub_name=hub)
    if not blind:
        producer.get_eventhub_properties()
    say(hub=hub, ready=True)
    began, failure = time.monotonic(), None
    try:
        producer.send_batch([EventData("event")], partition_id="0")
    except Exception as error:  # whatever an application would get
        failure = error
    say(hub=hub, seconds=time.monotonic() - began, events=0, **describe(failure))
    began = time.monotonic()
    producer.close()
    say(hub=hub, closed=time.monotonic() - began)


def receive(hub):
    consumer = EventHubConsumerClient.from_connection_string(CONNECTION, "$Default", eventhub_name=hub)
    consumer.get_eventhub_properties()
    say(hub=hub, ready=True)
    began, seen, failures, done = time.monotonic(), set(), [], threading.Event()

    def on_event(_, event):
        seen.add(event.sequence_number)
        if len(seen) >= 5:
            done.set()

    def on_error(_, error):
        failures.append(error)
        threading.Timer(5, done.set).start()  # the consumer may go on

    def run():
        try:
            consumer.receive(on_event, on_error=on_error, partition_id="0", starting_position="-1")
        except Exception as error:  # whatever an application would get
            failures.append(error)
            done.set()

    threading.Thread(target=run, daemon=True).start()
    done.wait()
    say(hub=hub, seconds=time.monotonic() - began, events=len(seen), **describe(failures[0] if failures else None))
    began = time.monotonic()
    consumer.close()
    say(hub=hub, closed=time.monotonic() - began)


def run(argument):
    hub, role = argument.split("=")
    try:
        if role == "receive":
            receive(hub)
        else:
            send(hub, role == "blind")
    except Exception as error:  # before the fault's turn
        say(hub=hub, seconds=0, events=0, **describe(error))


say(client="azure-eventhub", version=metadata.version("azure-eventhub"))
threads = [threading.Thread(target=run, args=(argument,), daemon=True) for argument in sys.argv[1:]]
for thread in threads:
    thread.start()
    time.sleep(0.4)  # so that they do not slow each other down
for thread in threads:
    thread.join()
os._exit(0)  # timers and receivers may still run
