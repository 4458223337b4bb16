package interop;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.proton.ProtonConnection;
import io.vertx.proton.ProtonDelivery;
import io.vertx.proton.ProtonReceiver;
import io.vertx.proton.ProtonServer;
import io.vertx.proton.ProtonServerOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.qpid.proton.amqp.Symbol;
import org.apache.qpid.proton.amqp.UnsignedLong;
import org.apache.qpid.proton.amqp.messaging.Accepted;
import org.apache.qpid.proton.amqp.messaging.Data;
import org.apache.qpid.proton.amqp.messaging.Rejected;
import org.apache.qpid.proton.amqp.transport.ErrorCondition;
import org.apache.qpid.proton.message.Message;

/**
 * An AMQP server made of vertx-proton: java interop.Server PORT DIRECTORY CONTAINER. It stores nothing and reports
 * arrivals. Messages must have one data section, since proton-j delivers only one. The server reads the runner's commands
 * from standard input and answers with one JSON object a line. A command affects the server's own connections.
 *
 * <p>The start of a hub's name decides its behaviour. dry allows two messages, and more on the runner's command. limited
 * states a limit of 300,000 bytes. strict states none and refuses larger messages. missing does not exist.
 */
final class Server {
    private static final int MOST = 300_000;
    private static final int CREDIT = 10;

    private final Set<ProtonConnection> connections = new HashSet<>();
    private final List<ProtonReceiver> receivers = new ArrayList<>();
    private boolean swallowing; // the next message is stored, but not acknowledged

    private void serve(ProtonConnection connection) {
        connection.openHandler(opened -> {
            connection.open();
            connections.add(connection);
        });
        connection.closeHandler(closed -> {
            forget(connection);
            connection.close();
            connection.disconnect();
        });
        connection.disconnectHandler(gone -> forget(connection));
        connection.sessionOpenHandler(session -> {
            session.closeHandler(closed -> {
                session.close();
                session.free();
            });
            session.open();
        });
        connection.receiverOpenHandler(receiver -> serve(connection, receiver));
    }

    private void forget(ProtonConnection connection) {
        connections.remove(connection);
        receivers.removeIf(r -> r.getSession().getConnection() == connection);
    }

    private void serve(ProtonConnection connection, ProtonReceiver receiver) {
        String address = address(receiver);
        receiver.detachHandler(detached -> end(receiver));
        receiver.closeHandler(closed -> end(receiver));
        if (address.startsWith("missing")) {
            receiver.open();
            receiver.setCondition(condition("amqp:not-found", "There is no " + address + ".")).close();
            return;
        }
        receiver.setTarget(receiver.getRemoteTarget()).setSource(receiver.getRemoteSource());
        if (address.startsWith("limited")) {
            receiver.setMaxMessageSize(UnsignedLong.valueOf(MOST));
        }
        boolean dry = address.startsWith("dry");
        receiver.setPrefetch(dry ? 0 : CREDIT).setAutoAccept(false);
        receiver.handler((delivery, message) -> take(connection, receiver, address, delivery, message));
        receiver.open();
        receivers.add(receiver);
        if (dry) {
            receiver.flow(2);
        }
    }

    private static String address(ProtonReceiver receiver) {
        return receiver.getRemoteTarget().getAddress();
    }

    private void end(ProtonReceiver receiver) {
        receivers.remove(receiver);
        receiver.close();
        receiver.free();
    }

    private void take(ProtonConnection connection, ProtonReceiver receiver, String address, ProtonDelivery delivery, Message message) {
        if (!receivers.contains(receiver)) {
            return; // closed meanwhile: neither stored nor answered
        }
        byte[] body = ((Data) message.getBody()).getValue().getArray();
        if (address.startsWith("strict") && body.length > MOST) {
            Rejected rejected = new Rejected();
            rejected.setError(condition("amqp:link:message-size-exceeded", "The limit is " + MOST + " bytes."));
            delivery.disposition(rejected, true);
            return;
        }
        try {
            MessageDigest hash = MessageDigest.getInstance("SHA-256");
            hash.update(ByteBuffer.allocate(4).putInt(body.length).array());
            hash.update(body);
            say("{\"arrived\": \"" + address + "\", \"format\": " + Integer.toUnsignedString(delivery.getMessageFormat()) + ", \"sections\": 1, \"bytes\": " + body.length
                + ", \"hash\": \"" + HexFormat.of().formatHex(hash.digest()) + "\"}");
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
        if (swallowing) {
            swallowing = false;
            forget(connection);
            connection.disconnect();
            return;
        }
        delivery.disposition(Accepted.getInstance(), true);
        if (address.startsWith("dry") && receiver.getPrefetch() == 0 && allowed.contains(address)) {
            receiver.flow(1);
        }
    }

    private final Set<String> allowed = new HashSet<>();

    private int obey(String verb, String address) {
        List<ProtonConnection> all = new ArrayList<>(connections);
        List<ProtonReceiver> mine = new ArrayList<>(receivers);
        mine.removeIf(r -> !address(r).equals(address));
        switch (verb) {
            case "connections":
                return all.size();
            case "detach":
                for (ProtonReceiver r : mine) {
                    receivers.remove(r);
                    r.setCondition(condition("amqp:link:detach-forced", "The link was closed by the runner.")).close();
                }
                return mine.size();
            case "close":
                for (ProtonConnection c : all) {
                    forget(c);
                    c.setCondition(condition("amqp:connection:forced", "The connection was closed by the runner.")).close();
                }
                return all.size();
            case "cut":
                for (ProtonConnection c : all) {
                    forget(c);
                    c.disconnect();
                }
                return all.size();
            case "swallow":
                swallowing = true;
                return 0;
            case "allow":
                allowed.add(address);
                for (ProtonReceiver r : mine) {
                    r.flow(CREDIT);
                }
                return mine.size();
            default:
                throw new IllegalArgumentException(verb);
        }
    }

    private static ErrorCondition condition(String name, String description) {
        return new ErrorCondition(Symbol.getSymbol(name), description);
    }

    private static synchronized void say(String json) {
        System.out.println(json);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        Vertx vertx = Vertx.vertx();
        Context context = vertx.getOrCreateContext(); // for everything in this server
        Server server = new Server();
        CompletableFuture<Void> listening = new CompletableFuture<>();
        context.runOnContext(v -> ProtonServer.create(vertx, new ProtonServerOptions().setHeartbeat(1000).setMaxFrameSize(4096))
            .connectHandler(server::serve)
            .listen(Integer.parseInt(arguments[0]), "127.0.0.1", r -> {
                if (r.failed()) {
                    listening.completeExceptionally(r.cause());
                } else {
                    listening.complete(null);
                }
            }));
        listening.get();
        String version = ProtonServer.class.getProtectionDomain().getCodeSource().getLocation().getPath().replaceAll(".*vertx-proton-|\\.jar", "");
        say("{\"ready\": \"" + version + "\", \"runtime\": \"Java " + System.getProperty("java.version") + "\"}");
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] words = (line + " ").split(" ", 2);
                String told = line;
                context.runOnContext(v -> {
                    try {
                        say("{\"done\": \"" + told + "\", \"count\": " + server.obey(words[0], words[1].trim()) + "}");
                    } catch (RuntimeException e) {
                        say("{\"done\": \"" + told + "\", \"error\": \"" + e.toString().replaceAll("[\"\\\\\\p{Cntrl}]", " ") + "\"}");
                    }
                });
            }
        } catch (IOException e) {
            System.err.println(e);
        }
        Runtime.getRuntime().halt(0); // the runner has ended or is finished
    }
}
