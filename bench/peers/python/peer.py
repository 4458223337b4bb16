"""A peer of the benchmark: the official buffered producer, event by event.

It reads a job from standard input and answers with a measurement, both JSON; see client.go.
"""

import importlib.metadata
import json
import os
import resource
import sys
import time

from azure.eventhub import EventData, EventHubProducerClient

job = json.loads(sys.stdin.readline())
scenario = job["Scenario"]
size = scenario["Size"]
ring = os.urandom((4 << 20) + size)
failures = []
options = {"max_wait_time": 1}
if not scenario["Defaults"]:
    options = {"max_wait_time": 0.005, "max_buffer_length": 100_000 // scenario["Partitions"]}
producer = EventHubProducerClient.from_connection_string(
    job["Server"]["ConnectionString"],
    eventhub_name="events",
    buffered_mode=True,
    on_success=lambda events, partition: None,
    on_error=lambda events, partition, error: failures.append(error),
    **options,
)
sent = 0


def publish(nanoseconds):
    """Enqueue for so many nanoseconds and wait until all is acknowledged."""
    global sent
    end = time.monotonic_ns() + nanoseconds
    while time.monotonic_ns() < end:
        for _ in range(100):
            at = sent * size % (4 << 20)
            producer.send_event(EventData(ring[at : at + size]))
            sent += 1
    producer.flush()
    if failures:
        raise failures[0]


publish(job["Warm"])
before, cpu, began = sent, time.process_time_ns(), time.monotonic_ns()
publish(job["Measure"])
seconds, cpu = (time.monotonic_ns() - began) / 1e9, time.process_time_ns() - cpu
producer.close()
print(
    json.dumps(
        {
            "Version": importlib.metadata.version("azure-eventhub"),
            "Sent": sent,
            "Events": sent - before,
            "Bytes": (sent - before) * size,
            "Seconds": seconds,
            "CPU": cpu,
            "Mallocs": -1,
            "Allocated": -1,
            "PeakRSS": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    ),
    flush=True,
)
