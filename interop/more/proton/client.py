"""Sends or reads events with Qpid Proton for Python: client.py send|read.

It prints one JSON object a line; ../more.go judges them. The environment has the emulator's address, key and hub.
"""

import json
import os
import sys

import proton
from proton.handlers import MessagingHandler
from proton.reactor import Container

EVENTS = int(os.environ["INTEROP_EVENTS"])
HUB = os.environ["INTEROP_HUB"]


class Client(MessagingHandler):
    """Connects with the key. Proton would choose EXTERNAL by itself."""

    def __init__(self):
        super().__init__()
        self.done = 0

    def on_start(self, event):
        self.connection = event.container.connect(
            "amqp://" + os.environ["INTEROP_ADDRESS"],
            user=os.environ["INTEROP_KEY_NAME"],
            password=os.environ["INTEROP_KEY"],
            allowed_mechs="PLAIN",
            reconnect=False,
        )
        self.open(event.container)

    def count(self):
        self.done += 1
        if self.done == EVENTS:
            self.connection.close()

    def on_transport_error(self, event):
        sys.exit(f"the connection failed: {event.transport.condition}")

    def on_link_error(self, event):
        sys.exit(f"the link failed: {event.link.remote_condition}")


class Send(Client):
    def __init__(self):
        super().__init__()
        self.sent = 0

    def open(self, container):
        container.create_sender(self.connection, HUB)

    def on_sendable(self, event):
        while event.sender.credit and self.sent < EVENTS:
            # A bytes body is a data section only if its type is inferred.
            event.sender.send(proton.Message(body=f"event-{self.sent}".encode(), inferred=True))
            self.sent += 1

    def on_accepted(self, event):
        self.count()

    def on_rejected(self, event):
        sys.exit(f"an event was rejected: {event.delivery.remote.condition}")


class Read(Client):
    def open(self, container):
        container.create_receiver(self.connection, HUB + "/ConsumerGroups/$Default/Partitions/0")

    def on_message(self, event):
        annotations = event.message.annotations
        say(
            {
                "body": bytes(event.message.body).decode(),
                "sequence": annotations["x-opt-sequence-number"],
                "offset": annotations["x-opt-offset"],
            }
        )
        self.count()


def say(line):
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    Container({"send": Send, "read": Read}[sys.argv[1]]()).run()
