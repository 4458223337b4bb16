package interop;

import org.apache.activemq.broker.Broker;
import org.apache.activemq.broker.BrokerFilter;
import org.apache.activemq.broker.BrokerPlugin;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.broker.ConnectionContext;
import org.apache.activemq.broker.ProducerBrokerExchange;
import org.apache.activemq.command.Message;
import org.apache.activemq.command.ProducerInfo;
import org.apache.activemq.store.kahadb.KahaDBPersistenceAdapter;

/**
 * An ActiveMQ Classic with a queue for every requested address: java interop.Classic PORT DIRECTORY. It keeps the bytes of
 * a message unchanged.
 *
 * <p>No client may publish to addresses that begin with missing. A client that is silent for 2 seconds is disconnected.
 */
final class Classic {
    private Classic() { }

    /**
     * Refuses links to missing addresses, and keeps messages beyond the broker's end, like an event hub: a batch is not
     * marked as durable.
     */
    private static final class Rules extends BrokerFilter {
        Rules(Broker next) {
            super(next);
        }

        @Override
        public void addProducer(ConnectionContext context, ProducerInfo info) throws Exception {
            if (info.getDestination() != null && info.getDestination().getPhysicalName().startsWith("missing")) {
                throw new SecurityException("There is no " + info.getDestination().getPhysicalName() + "."); // the only refusal that it reports with its reason
            }
            super.addProducer(context, info);
        }

        @Override
        public void send(ProducerBrokerExchange exchange, Message message) throws Exception {
            message.setPersistent(true);
            super.send(exchange, message);
        }
    }

    public static void main(String[] arguments) throws Exception {
        KahaDBPersistenceAdapter store = new KahaDBPersistenceAdapter();
        store.setDirectory(new java.io.File(arguments[1], "store"));
        // Otherwise KahaDB accepts a message before it is written to the file, and kill -9 loses it.
        store.setJournalDiskSyncStrategy("ALWAYS");
        store.setJournalMaxFileLength(64 << 20);
        BrokerService broker = new BrokerService();
        broker.setBrokerName("interop");
        broker.setUseJmx(false);
        broker.setUseShutdownHook(false);
        broker.setAdvisorySupport(false);
        broker.setDataDirectory(arguments[1]);
        broker.setPersistenceAdapter(store);
        broker.setPlugins(new BrokerPlugin[] {Rules::new});
        broker.getSystemUsage().getMemoryUsage().setLimit(512L << 20);
        broker.getSystemUsage().getStoreUsage().setLimit(8L << 30);
        broker.getSystemUsage().getTempUsage().setLimit(1L << 30);
        broker.addConnector("amqp://127.0.0.1:" + arguments[0]
            + "?transport.transformer=native&wireFormat.maxFrameSize=16777216&transport.idleTimeout=2000&transport.wireFormat.idleTimeout=2000");
        broker.start();
        broker.waitUntilStopped();
    }
}
