package interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.qpid.server.SystemLauncher;
import org.apache.qpid.server.model.ConfiguredObject;
import org.apache.qpid.server.model.SystemConfig;

/** A Qpid Broker-J with a queue in memory for every requested address: java interop.BrokerJ PORT DIRECTORY. */
final class BrokerJ {
    private BrokerJ() { }

    private static final String CONFIGURATION = """
        {
          "name": "interop",
          "modelVersion": "9.1",
          "authenticationproviders": [{"name": "anybody", "type": "Anonymous"}],
          "ports": [{
            "name": "AMQP", "type": "AMQP", "port": "%s", "bindingAddress": "127.0.0.1", "authenticationProvider": "anybody", "protocols": ["AMQP_1_0"],
            "virtualhostaliases": [{"name": "default", "type": "defaultAlias"}, {"name": "host", "type": "hostnameAlias"}]
          }],
          "virtualhostnodes": [{
            "name": "node", "type": "Memory", "defaultVirtualHostNode": "true",
            "virtualHostInitialConfiguration": "{\\"type\\": \\"Memory\\", \\"nodeAutoCreationPolicies\\": [{\\"pattern\\": \\".*\\", \\"createdOnPublish\\": true, \\"createdOnConsume\\": true, \\"nodeType\\": \\"queue\\", \\"attributes\\": {}}]}"
          }]
        }
        """;

    public static void main(String[] arguments) throws Exception {
        Path configuration = Path.of(arguments[1], "configuration.json");
        Files.writeString(configuration, CONFIGURATION.formatted(arguments[0]));
        Map<String, Object> attributes = new HashMap<>();
        attributes.put(ConfiguredObject.TYPE, "Memory");
        attributes.put(SystemConfig.INITIAL_CONFIGURATION_LOCATION, configuration.toString());
        attributes.put(SystemConfig.STARTUP_LOGGED_TO_SYSTEM_OUT, "true");
        attributes.put(ConfiguredObject.CONTEXT, Map.of("qpid.work_dir", arguments[1]));
        new SystemLauncher().startup(attributes);
    }
}
