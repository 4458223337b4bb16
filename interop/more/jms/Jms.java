package interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import java.nio.charset.StandardCharsets;
import org.apache.qpid.jms.JmsConnectionFactory;

/**
 * Sends or reads events with Qpid JMS: send|read. It prints one JSON object a line; ../more.go judges them. The
 * environment has the emulator's address, key and hub.
 */
public final class Jms {
    private static final int EVENTS = Integer.parseInt(System.getenv("INTEROP_EVENTS"));
    private static final String HUB = System.getenv("INTEROP_HUB");

    private Jms() {
    }

    public static void main(String[] arguments) throws Exception {
        JmsConnectionFactory factory = new JmsConnectionFactory(
            "amqp://" + System.getenv("INTEROP_ADDRESS") + "?amqp.saslMechanisms=PLAIN");
        try (Connection connection =
            factory.createConnection(System.getenv("INTEROP_KEY_NAME"), System.getenv("INTEROP_KEY"));
            Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE)) {
            connection.start();
            if (arguments[0].equals("send")) {
                send(session);
            } else {
                read(session);
            }
        }
    }

    private static void send(Session session) throws Exception {
        MessageProducer producer = session.createProducer(session.createQueue(HUB));
        for (int i = 0; i < EVENTS; i++) {
            BytesMessage message = session.createBytesMessage();
            message.writeBytes(("event-" + i).getBytes(StandardCharsets.UTF_8));
            producer.send(message); // waits for the outcome
        }
    }

    private static void read(Session session) throws Exception {
        MessageConsumer consumer =
            session.createConsumer(session.createQueue(HUB + "/ConsumerGroups/$Default/Partitions/0"));
        for (int i = 0; i < EVENTS; i++) {
            Message message = consumer.receive(20_000);
            if (message == null) {
                throw new IllegalStateException("only " + i + " of " + EVENTS + " events came");
            }
            System.out.printf("{\"body\":\"%s\"}%n",
                new String(message.getBody(byte[].class), StandardCharsets.UTF_8));
        }
    }
}
