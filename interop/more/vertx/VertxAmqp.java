package interop;

import io.vertx.amqp.AmqpClient;
import io.vertx.amqp.AmqpClientOptions;
import io.vertx.amqp.AmqpConnection;
import io.vertx.amqp.AmqpMessage;
import io.vertx.amqp.AmqpReceiver;
import io.vertx.amqp.AmqpSender;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Sends or reads events with the Vert.x AMQP client: send|read. It prints one JSON object a line; ../more.go judges
 * them. The environment has the emulator's address, key and hub.
 */
public final class VertxAmqp {
    private static final int EVENTS = Integer.parseInt(System.getenv("INTEROP_EVENTS"));
    private static final String HUB = System.getenv("INTEROP_HUB");

    private VertxAmqp() {
    }

    public static void main(String[] arguments) throws Exception {
        String[] address = System.getenv("INTEROP_ADDRESS").split(":");
        Vertx vertx = Vertx.vertx();
        AmqpClient client = AmqpClient.create(vertx, new AmqpClientOptions()
            .setHost(address[0]).setPort(Integer.parseInt(address[1]))
            .setUsername(System.getenv("INTEROP_KEY_NAME")).setPassword(System.getenv("INTEROP_KEY")));
        AmqpConnection connection = await(client.connect());
        if (arguments[0].equals("send")) {
            send(connection);
        } else {
            read(connection);
        }
        await(connection.close());
        await(vertx.close());
    }

    private static <T> T await(Future<T> future) throws Exception {
        return future.toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
    }

    private static void send(AmqpConnection connection) throws Exception {
        AmqpSender sender = await(connection.createSender(HUB));
        for (int i = 0; i < EVENTS; i++) {
            await(sender.sendWithAck(AmqpMessage.create().withBufferAsBody(Buffer.buffer("event-" + i)).build()));
        }
    }

    private static void read(AmqpConnection connection) throws Exception {
        CountDownLatch left = new CountDownLatch(EVENTS);
        AmqpReceiver receiver = await(connection.createReceiver(HUB + "/ConsumerGroups/$Default/Partitions/0"));
        receiver.handler(message -> {
            System.out.printf("{\"body\":\"%s\"}%n", message.bodyAsBinary());
            left.countDown();
        });
        if (!left.await(20, TimeUnit.SECONDS)) {
            throw new IllegalStateException(left.getCount() + " of " + EVENTS + " events did not come");
        }
    }
}
