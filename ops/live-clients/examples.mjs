// Runs the examples of ops/docs/CLIENTS.md as they stand there, with the real packages: a query under a token that has expired, a
// mutation, subscriptions over both ways, persisted queries.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = join(import.meta.dirname, '../docs/CLIENTS.md');
// Where packages are found, and nothing is under version control.
const PLACE = join(import.meta.dirname, 'node_modules/.claviger-examples');
const PASSWORD = 'correct horse battery';

function extract() {
  mkdirSync(PLACE, { recursive: true });
  const blocks = readFileSync(PAGE, 'utf8').matchAll(/^```(?:js|python)\n(?:\/\/|#) (\S+)\n[^]*?^```$/gm);
  const names = [];
  for (const [block, name] of blocks) {
    writeFileSync(join(PLACE, name), block.split('\n').slice(1, -1).join('\n'));
    names.push(name);
  }
  assert.deepEqual(names, ['tokens.mjs', 'apollo.mjs', 'urql.mjs', 'relay.mjs', 'clients.py'], 'the examples of CLIENTS.md');
}

async function register(url, username) {
  const query = 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken userErrors { message } } }';
  const input = { username, email: `${username}@example.org`, password: PASSWORD };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables: { input } }) });
  const { data } = await response.json();
  assert.ok(data.register.accessToken, JSON.stringify(data));
}

const secret = (name) => `sk-ant-api03-${name}-${'x'.repeat(60)}AA`;

/** The first event after a cursor. */
function first(events, after) {
  let subscription;
  const come = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no event came in 20 s')), 20_000).unref();
    subscription = events(after, resolve);
  });
  return come.finally(() => subscription.unsubscribe());
}

/** Notes which requests had a text and which a hash alone. */
function watched() {
  const plain = globalThis.fetch;
  const seen = { texts: 0, hashes: 0 };
  globalThis.fetch = (address, init) => {
    const asked = init?.body ? JSON.parse(init.body) : Object.fromEntries(new URL(address).searchParams);
    if (asked.extensions) seen[asked.query ? 'texts' : 'hashes'] += 1;
    return plain(address, init);
  };
  return { seen, end: () => (globalThis.fetch = plain) };
}

async function exercise(name, { me, addKey, events, eventsWithoutSocket, socket }, tokens) {
  const { seen, end } = watched();
  tokens.accessToken = 'one that has expired';
  const { username, eventsCursor } = await me();
  assert.equal(username, process.env.KEYS_USER);
  await me();
  if (name !== 'relay') {
    assert.ok(seen.texts >= 1 && seen.hashes >= 2, `${name} sent the text after PersistedQueryNotFound, and then the hash: ${JSON.stringify(seen)}`);
  }
  end();
  const { key, userErrors } = await addKey({ name, secret: secret(name) });
  assert.ok(key.preview.startsWith('sk-ant-api03-') && userErrors.length === 0);
  tokens.expiresAt = 0;
  assert.equal((await first(events, eventsCursor)).node.type, 'KeyAdded');
  assert.equal((await first(eventsWithoutSocket, eventsCursor)).node.type, 'KeyAdded');
  await socket.dispose();
  console.log(`${name}: a new token, a query, a mutation, subscriptions over a socket and without one`);
}

async function python(program, url) {
  const env = { ...process.env, KEYS_SECRET: secret('python') };
  const run = spawn(program, [join(PLACE, 'clients.py')], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  run.stdout.on('data', (chunk) => (said += chunk));
  const [code] = await once(run, 'exit');
  assert.equal(code, 0, 'clients.py failed');
  assert.equal(said.trim(), `${process.env.KEYS_USER} saw KeyAdded`);
  console.log('gql: a new token, a query, a mutation, a subscription over a socket');
}

/** Against a running server. */
export async function examples(url, pythonProgram) {
  extract();
  const user = `examples${process.pid}`;
  Object.assign(process.env, { CLAVIGER_URL: url, KEYS_USER: user, KEYS_PASSWORD: PASSWORD });
  await register(url, user);
  const { signIn, tokens } = await import(join(PLACE, 'tokens.mjs'));
  await signIn(user, PASSWORD);
  for (const name of ['apollo', 'urql', 'relay']) await exercise(name, await import(join(PLACE, `${name}.mjs`)), tokens);
  if (pythonProgram) await python(pythonProgram, url);
}

if (process.argv[1] === import.meta.filename) {
  await examples(process.argv[2], process.argv[3]);
  process.exit(0);
}
