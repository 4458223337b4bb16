package interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.activemq.artemis.api.core.Message;
import org.apache.activemq.artemis.api.core.RoutingType;
import org.apache.activemq.artemis.core.config.Configuration;
import org.apache.activemq.artemis.core.config.impl.ConfigurationImpl;
import org.apache.activemq.artemis.core.server.ActiveMQServer;
import org.apache.activemq.artemis.core.server.ActiveMQServers;
import org.apache.activemq.artemis.core.server.JournalType;
import org.apache.activemq.artemis.core.server.ServerSession;
import org.apache.activemq.artemis.core.server.plugin.ActiveMQServerMessagePlugin;
import org.apache.activemq.artemis.core.settings.impl.AddressFullMessagePolicy;
import org.apache.activemq.artemis.core.settings.impl.AddressSettings;
import org.apache.activemq.artemis.core.transaction.Transaction;
import org.apache.activemq.artemis.protocol.amqp.broker.ActiveMQProtonRemotingConnection;
import org.apache.activemq.artemis.protocol.amqp.proton.AMQPConnectionContext;
import org.apache.activemq.artemis.spi.core.protocol.RemotingConnection;
import org.apache.qpid.proton.amqp.Symbol;
import org.apache.qpid.proton.amqp.transport.ErrorCondition;
import org.apache.qpid.proton.engine.EndpointState;
import org.apache.qpid.proton.engine.Link;
import org.apache.qpid.proton.engine.Receiver;

/**
 * An ActiveMQ Artemis with a queue for every requested address: java interop.Broker PORT DIRECTORY CONTAINER.
 * It reads the runner's commands from standard input and answers with one JSON object a line. A command affects the
 * connections of containers whose names begin with CONTAINER.
 *
 * <p>Addresses that begin with dry or limited hold a little more than 100,000 bytes. Then dry gives no more credit, and
 * limited refuses further messages. No address begins with missing.
 */
public final class Broker {
    private static final int MOST = 100_000;
    /** Messages of at least so many bytes go to separate files, smaller ones to the journal. */
    private static final int LARGE = 400_000;
    private static final EnumSet<EndpointState> OPEN = EnumSet.of(EndpointState.ACTIVE);

    private final ActiveMQServer server;
    private final String container;

    private Broker(int port, String directory, String container) throws Exception {
        this.container = container;
        Configuration configuration = new ConfigurationImpl()
            .setSecurityEnabled(false)
            .setPersistenceEnabled(true)
            .setJournalType(JournalType.NIO)
            .setJournalBufferSize_NIO(4 << 20)
            // Accepted messages are written; they need not survive a crash of the machine.
            .setJournalDatasync(false)
            .setJournalDirectory(directory + "/journal")
            .setBindingsDirectory(directory + "/bindings")
            .setLargeMessagesDirectory(directory + "/large")
            .setPagingDirectory(directory + "/paging")
            .setMaxDiskUsage(-1)
            .setGracefulShutdownEnabled(false)
            .addAcceptorConfiguration("amqp", "tcp://127.0.0.1:" + port
                + "?protocols=AMQP;amqpCredits=10;amqpLowCredits=5;maxFrameSize=16384;amqpIdleTimeout=2000;amqpMinLargeMessageSize=" + LARGE)
            .addAddressSetting("#", settings(AddressFullMessagePolicy.PAGE).setMaxSizeBytes(64 << 20))
            .addAddressSetting("dry/#", settings(AddressFullMessagePolicy.BLOCK).setMaxSizeBytes(MOST))
            .addAddressSetting("limited/#", settings(AddressFullMessagePolicy.FAIL).setMaxSizeBytes(MOST))
            .addAddressSetting("missing/#", settings(AddressFullMessagePolicy.FAIL)
                .setAutoCreateAddresses(false).setAutoCreateQueues(false));
        configuration.getWildcardConfiguration().setDelimiter('/');
        server = ActiveMQServers.newActiveMQServer(configuration);
        server.registerBrokerPlugin(new Durable());
    }

    private static AddressSettings settings(AddressFullMessagePolicy policy) {
        return new AddressSettings()
            .setDefaultAddressRoutingType(RoutingType.ANYCAST)
            .setDefaultQueueRoutingType(RoutingType.ANYCAST)
            .setAutoDeleteAddresses(false)
            .setAutoDeleteQueues(false)
            .setMaxDeliveryAttempts(-1)
            .setAddressFullMessagePolicy(policy);
    }

    /**
     * Keeps a message beyond the broker's end, like an event hub: a batch is not marked as durable. This is too late for
     * a message that is being written to a separate file.
     */
    private static final class Durable implements ActiveMQServerMessagePlugin {
        @Override
        public void beforeSend(ServerSession session, Transaction tx, Message message, boolean direct, boolean noAutoCreateQueue) {
            if (!message.isLargeMessage()) {
                message.setDurable(true);
            }
        }
    }

    private List<ActiveMQProtonRemotingConnection> connections() {
        List<ActiveMQProtonRemotingConnection> found = new ArrayList<>();
        for (RemotingConnection c : server.getRemotingService().getConnections()) {
            if (c instanceof ActiveMQProtonRemotingConnection amqp && amqp.getAmqpConnection().getRemoteContainer().startsWith(container)) {
                found.add(amqp);
            }
        }
        return found;
    }

    private int obey(String verb, String address) throws Exception {
        List<ActiveMQProtonRemotingConnection> all = connections();
        int count = verb.equals("detach") ? 0 : all.size();
        for (ActiveMQProtonRemotingConnection c : all) {
            AMQPConnectionContext amqp = c.getAmqpConnection();
            switch (verb) {
                case "connections" -> { }
                case "detach" -> count += detach(amqp, address);
                case "close" -> amqp.close(condition("amqp:connection:forced"));
                case "cut" -> c.getTransportConnection().forceClose();
                default -> throw new IllegalArgumentException(verb);
            }
        }
        return count;
    }

    /** Closes the links that send to an address, in the way that the broker itself closes one. */
    private static int detach(AMQPConnectionContext amqp, String address) throws InterruptedException {
        int[] count = {0};
        CountDownLatch done = new CountDownLatch(1);
        // Proton's engine belongs to the connection's event loop.
        amqp.runLater(() -> {
            Link link = amqp.getHandler().getConnection().linkHead(OPEN, OPEN);
            for (; link != null; link = link.next(OPEN, OPEN)) {
                if (link instanceof Receiver && address.equals(link.getTarget().getAddress())) {
                    link.setCondition(condition("amqp:link:detach-forced"));
                    link.close();
                    count[0]++;
                }
            }
            amqp.flush();
            done.countDown();
        });
        done.await();
        return count[0];
    }

    private static ErrorCondition condition(String name) {
        return new ErrorCondition(Symbol.getSymbol(name), "Closed by the runner.");
    }

    private static void say(String json) {
        System.out.println(json);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        Broker broker = new Broker(Integer.parseInt(arguments[0]), arguments[1], arguments[2]);
        broker.server.start();
        say("{\"ready\": \"" + broker.server.getVersion().getFullVersion() + "\", \"runtime\": \"Java " + System.getProperty("java.version") + "\"}");
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] words = line.split(" ");
                try {
                    int count = broker.obey(words[0], words.length > 1 ? words[1] : "");
                    say("{\"done\": \"" + line + "\", \"count\": " + count + "}");
                } catch (Exception e) {
                    say("{\"done\": \"" + line + "\", \"error\": \"" + e.toString().replaceAll("[\"\\\\\\p{Cntrl}]", " ") + "\"}");
                }
            }
        } catch (IOException e) {
            System.err.println(e);
        }
        Runtime.getRuntime().halt(0); // the runner has ended or is finished
    }
}
