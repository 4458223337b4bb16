import subprocess

import pytest


@pytest.fixture
def emulator(tmp_path):
    """An Event Hubs emulator with the hub orders, for one test. Its value has the variables of --ready-file."""
    ready = tmp_path / "ready"
    command = ["eventhubs", "emulator", "--hub", "orders:4", "--http", ":0", "--ready-file", ready]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if not process.stdout.readline():  # a line comes when clients can connect
            pytest.fail(f"the emulator ended with status {process.wait()}; standard error has the reason")
        yield dict(line.split("=", 1) for line in ready.read_text().splitlines())
        process.terminate()
    assert process.returncode == 0
