#!/usr/bin/env bash
# rhea 3.0.5 (JavaScript), Linux, 2026-11-30.
# A receiver that settles several messages in one turn of the event loop writes one disposition for
# neighbours of the same outcome. It does not compare the second message of a group with the first:
# the second always gets the first's outcome. So a message that the application rejects or releases
# right after it accepted another is accepted for the peer, too. One that it accepts right after a
# rejected one is rejected.
# A good guess: each message gets the outcome that the application gave it.
# Seen, with three messages, of which the third begins another group:
#   the receiver: accepted rejected accepted; the sender: accepted accepted accepted
#   the receiver: rejected accepted rejected; the sender: rejected rejected rejected
#   the receiver: accepted released released; the sender: accepted accepted released
#   in a turn each: accepted rejected accepted; the sender: accepted rejected accepted
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
cat > finding.js <<'JS'
const rhea = require('rhea');
const give = { accepted: d => d.accept(), rejected: d => d.reject(), released: d => d.release() };
const run = (outcomes, together) => new Promise(done => {
  const server = rhea.create_container();
  const got = [], seen = {};
  const listener = server.listen({ port: 0, host: '127.0.0.1', receiver_options: { autoaccept: false } });
  server.on('message', ({ delivery }) => {
    got.push(delivery);
    if (got.length < outcomes.length) return;
    got.forEach((d, i) => together ? give[outcomes[i]](d) : setTimeout(() => give[outcomes[i]](d), 20 * i));
  });
  listener.on('listening', () => {
    const client = rhea.create_container();
    const connection = client.connect({ port: listener.address().port, host: '127.0.0.1', reconnect: false });
    connection.open_sender('queue');
    client.once('sendable', ({ sender }) => outcomes.forEach((_, i) => sender.send({ body: i })));
    for (const outcome of Object.keys(give)) {
      client.on(outcome, ({ delivery }) => {
        seen[delivery.id] = outcome;
        if (Object.keys(seen).length < outcomes.length) return;
        console.log(`${together ? 'the receiver' : 'in a turn each'}: ${outcomes.join(' ')}; the sender: ${Object.values(seen).join(' ')}`);
        connection.close();
        listener.close(done);
      });
    }
  });
});
(async () => {
  await run(['accepted', 'rejected', 'accepted'], true);
  await run(['rejected', 'accepted', 'rejected'], true);
  await run(['accepted', 'released', 'released'], true);
  await run(['accepted', 'rejected', 'accepted'], false);
})();
JS
got=$(timeout 30 node finding.js)
want='the receiver: accepted rejected accepted; the sender: accepted accepted accepted
the receiver: rejected accepted rejected; the sender: rejected rejected rejected
the receiver: accepted released released; the sender: accepted accepted released
in a turn each: accepted rejected accepted; the sender: accepted rejected accepted'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
