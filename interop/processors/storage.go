package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/interop/internal/azurite"
)

const (
	account    = "account"
	accountKey = "a2V5"
	// startLimit bounds the start of a program.
	startLimit = time.Minute
)

// A storage is Azurite, an emulator of blob storage, with its blobs in memory.
type storage struct {
	command *exec.Cmd
	url     string // of the account
}

var listens = regexp.MustCompile(`listens on (http://127\.0\.0\.1:\d+)`)

// startStorage installs and starts Azurite. It ends with ctx, or by close.
func startStorage(ctx context.Context, log io.Writer) (*storage, error) {
	command, err := azurite.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	s := &storage{command: exec.CommandContext(ctx, command[0], slices.Concat(command[1:], []string{"--blobPort", "0"})...)}
	s.command.Env = append(s.command.Environ(), "AZURITE_ACCOUNTS="+account+":"+accountKey)
	s.command.Stderr = log
	output, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	silence := time.AfterFunc(startLimit, func() { _ = s.command.Process.Kill() })
	lines := bufio.NewScanner(output)
	for s.url == "" && lines.Scan() {
		if found := listens.FindStringSubmatch(lines.Text()); found != nil {
			s.url = found[1] + "/" + account
		}
	}
	silence.Stop()
	if s.url == "" {
		s.close()
		return nil, fmt.Errorf("no address was named by Azurite within %v", startLimit)
	}
	// Ends with Azurite.
	go io.Copy(log, output)
	return s, nil
}

func (s *storage) close() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *storage) connectionString() string {
	return "DefaultEndpointsProtocol=http;AccountName=" + account + ";AccountKey=" + accountKey + ";BlobEndpoint=" + s.url + ";"
}

// createContainer creates a container, as a user does in the portal.
func (s *storage) createContainer(ctx context.Context, name string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+"/"+name+"?restype=container", nil)
	if err != nil {
		return err
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	request.Header.Set("x-ms-date", date)
	request.Header.Set("x-ms-version", "2021-12-02")
	key, err := base64.StdEncoding.DecodeString(accountKey)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:2021-12-02\n/%s/%s/%s\nrestype:container", date, account, account, name)
	request.Header.Set("Authorization", "SharedKey "+account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return fmt.Errorf("the request for a container: Azurite answers %s: %s", answer.Status, text)
	}
	return nil
}
