// The emulator's HTTP API.

const patience = 5000; // ms after which a request counts as failed

// ask requests JSON. Its error has the answer's status, or none if there was no answer.
export async function ask(url, options = {}) {
  const response = await fetch(url, { signal: AbortSignal.timeout(patience), ...options });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

// change sends a request that changes the emulator. Its body is an object, or JSON already.
export const change = (method, url, body) => ask(url, { method, headers: { "Content-Type": "application/json" }, body: typeof body === "object" ? JSON.stringify(body) : body });
