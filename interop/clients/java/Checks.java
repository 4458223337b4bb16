package interop;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Runs the checks of a client for Java, Client or that of ../java-legacy, and prints its observations, one JSON object a
 * line. The runner in ../.. compares them with the emulator's events. The environment has the connection strings, the
 * list of keys and the like (see ../../world.go).
 */
final class Checks {
    static final ObjectMapper JSON = new ObjectMapper();

    private Checks() {
    }

    /** A check uses the hub and returns what it observed. */
    interface Check {
        Map<String, Object> run(String hub) throws Exception;
    }

    /** Runs the checks that the arguments name. The resource has the client's version. Never returns. */
    static void run(String client, String resource, Map<String, Check> checks, String[] arguments) throws Exception {
        trust(env("INTEROP_CA_FILE"));
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("client", client);
        hello.put("version", versionOf(resource));
        hello.put("runtime", "Java " + Runtime.version().feature());
        say(hello);
        for (String argument : arguments) {
            String[] parts = argument.split("=");
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("check", parts[0]);
            long started = System.nanoTime();
            try {
                line.putAll(checks.get(parts[0]).run(parts[1]));
                line.put("milliseconds", (System.nanoTime() - started) / 1e6);
            } catch (Exception | Error e) {
                StringWriter text = new StringWriter();
                e.printStackTrace(new PrintWriter(text));
                line.put("error", text.toString());
            }
            say(line);
        }
        System.exit(0); // the client's threads would run on for a while
    }

    static String env(String name) {
        return System.getenv(name);
    }

    private static void say(Map<String, Object> line) throws Exception {
        System.out.println(JSON.writeValueAsString(line));
        System.out.flush();
    }

    private static String versionOf(String resource) throws Exception {
        Properties properties = new Properties();
        try (InputStream in = Checks.class.getClassLoader().getResourceAsStream(resource)) {
            properties.load(in);
        }
        return properties.getProperty("version");
    }

    /** Makes TLS connections trust only the authorities in a PEM file. */
    private static void trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(file)) {
            for (Certificate authority : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("authority-" + store.size(), authority);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        SSLContext.setDefault(context);
    }
}
