package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// rabbitHome is the place of RabbitMQ's own scripts on Debian. Those in the path change the user.
const rabbitHome = "/usr/lib/rabbitmq/bin"

// prepareRabbitMQ uses the system's RabbitMQ, and installs Debian's if there is none.
func prepareRabbitMQ(ctx context.Context) (commands, error) {
	reader, err := rheaReader(ctx)
	if err != nil {
		return commands{}, err
	}
	server := filepath.Join(rabbitHome, "rabbitmq-server")
	if _, err := os.Stat(server); err != nil {
		if os.Geteuid() != 0 {
			return commands{}, fmt.Errorf("RabbitMQ is missing; install it from your system's packages (on Debian: apt-get install rabbitmq-server): %w", err)
		}
		err := errors.Join(
			setup.Command(ctx, "", "apt-get", "update", "-qq"),
			setup.Command(ctx, "", "apt-get", "install", "-qq", "--yes", "--no-install-recommends", "rabbitmq-server"),
		)
		if err != nil {
			return commands{}, err
		}
	}
	if err := setup.Need("Erlang", "epmd", "erl"); err != nil {
		return commands{}, err
	}
	version, err := exec.CommandContext(ctx, "dpkg-query", "--showformat=${Version}", "--show", "rabbitmq-server").Output()
	if err != nil {
		return commands{}, fmt.Errorf("asking for RabbitMQ's version: %w", err)
	}
	return commands{
		reader: reader, version: strings.TrimSpace(string(version)) + " (Debian)",
		bare: func(port, directory string) ([]program, error) { return rabbitMQ(server, port, directory) },
	}, nil
}

// rabbitMQ returns a separate broker with all its files in a directory, and with its own port
// mapper. A mapper that Erlang starts would outlive it.
func rabbitMQ(server, port, directory string) ([]program, error) {
	mapper, err := freePort()
	if err != nil {
		return nil, err
	}
	distribution, err := freePort()
	if err != nil {
		return nil, err
	}
	config := "listeners.tcp.local = 127.0.0.1:" + port + "\namqp1_0.default_user = guest\nloopback_users = none\ndisk_free_limit.absolute = 1MB\n"
	for name, text := range map[string]string{"rabbitmq.conf": config, "plugins": "[rabbitmq_amqp1_0].\n", "environment": ""} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	mapping := []string{"ERL_EPMD_PORT=" + mapper, "ERL_EPMD_ADDRESS=127.0.0.1"}
	return []program{
		{[]string{"epmd", "-port", mapper, "-address", "127.0.0.1"}, mapping},
		{[]string{server}, append(mapping,
			"HOME="+directory, "RABBITMQ_NODENAME=interop@localhost", "RABBITMQ_DIST_PORT="+distribution, "RABBITMQ_LOGS=-",
			"RABBITMQ_MNESIA_BASE="+directory, "RABBITMQ_LOG_BASE="+directory, "RABBITMQ_SCHEMA_DIR="+directory,
			"RABBITMQ_CONFIG_FILE="+filepath.Join(directory, "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE="+filepath.Join(directory, "environment"),
			"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(directory, "plugins"),
		)},
	}, nil
}
