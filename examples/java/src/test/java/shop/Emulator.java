package shop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

/** An Event Hubs emulator with the hub orders, for one test. */
final class Emulator implements AutoCloseable {
    private final Process process;
    private final Properties variables = new Properties();

    Emulator() throws IOException {
        Path ready = Files.createTempFile("eventhubs", ".ready");
        process = new ProcessBuilder(
                        "eventhubs", "emulator", "--hub", "orders:4", "--http", ":0", "--ready-file", ready.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader output = process.inputReader();
        if (output.readLine() == null) { // a line comes when clients can connect
            throw new IOException("The emulator has ended; standard error has the reason.");
        }
        try (Reader file = Files.newBufferedReader(ready)) {
            variables.load(file);
        }
    }

    String connectionString() {
        return variables.getProperty("EVENTHUBS_CONNECTION_STRING");
    }

    /** The URL of its page and of its data as JSON. */
    String url() {
        return variables.getProperty("EVENTHUBS_EMULATOR_URL");
    }

    @Override
    public void close() throws InterruptedException {
        process.destroy();
        if (!process.waitFor(10, TimeUnit.SECONDS)) {
            throw new IllegalStateException("The emulator does not end.");
        }
    }
}
