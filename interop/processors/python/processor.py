"""Processes a hub's events beside other processors, until its standard input ends.

Its argument is its name. Each line of output is a JSON object (see ../process.go). An event's line is written before
its checkpoint, so that a killed program has reported every event that it has a checkpoint for.
"""

import asyncio
import json
import os
import platform
import sys
from importlib import metadata

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

EVERY = int(os.environ["PROCESSOR_CHECKPOINT_EVERY"])
handled = {}


def say(**line):
    print(json.dumps(line), flush=True)


async def on_event(partition, event):
    say(partition=partition.partition_id, sequence=event.sequence_number, body=event.body_as_str())
    handled[partition.partition_id] = handled.get(partition.partition_id, 0) + 1
    if handled[partition.partition_id] % EVERY == 0:
        await partition.update_checkpoint(event)


async def on_initialize(partition):
    say(owns=partition.partition_id)


async def on_close(partition, reason):
    say(lost=partition.partition_id)


async def on_error(partition, error):
    say(error=f"{partition.partition_id if partition else ''} {type(error).__name__}: {error}")


async def main():
    store = BlobCheckpointStore.from_connection_string(
        os.environ["PROCESSOR_STORAGE"], os.environ["PROCESSOR_CONTAINER"]
    )
    consumer = EventHubConsumerClient.from_connection_string(
        os.environ["PROCESSOR_CONNECTION_STRING"],
        consumer_group="$Default",
        eventhub_name=os.environ["PROCESSOR_HUB"],
        checkpoint_store=store,
        load_balancing_interval=float(os.environ["PROCESSOR_INTERVAL_SECONDS"]),
        partition_ownership_expiration_interval=float(os.environ["PROCESSOR_EXPIRATION_SECONDS"]),
    )
    say(version=metadata.version("azure-eventhub"), runtime="Python " + ".".join(platform.python_version_tuple()[:2]))
    async with store, consumer:
        receiving = asyncio.create_task(
            consumer.receive(
                on_event=on_event,
                on_partition_initialize=on_initialize,
                on_partition_close=on_close,
                on_error=on_error,
                starting_position="-1",
            )
        )
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        receiving.cancel()
        await asyncio.wait([receiving])


asyncio.run(main())
