// Runs the examples of ops/docs/CLIENTS.md, subscribes with every client, cuts, restarts and kills, and compares what each holds with the history. Exit code 0 only when nothing
// was lost, doubled or out of order.
//   node check.mjs PROGRAM [--schedules N] [--runs N] [--seed N] [--mongodb PROGRAM] [--python PROGRAM]
// --mongodb starts that server (SecantusDB) and two processes on it; --python runs gql_client.py, which needs gql[aiohttp,websockets].
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Account } from './account.mjs';
import { CLIENTS, Held } from './clients.mjs';
import { examples } from './examples.mjs';
import { RunText } from './runs.mjs';
import { Server, Simulated, freePort, sharedKeys } from './server.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    schedules: { type: 'string', default: '20' },
    runs: { type: 'string', default: '9' },
    seed: { type: 'string', default: '1' },
    mongodb: { type: 'string' },
    python: { type: 'string' },
  },
});
const [program] = positionals;
if (!program) {
  console.error('usage: node check.mjs PROGRAM [--schedules N] [--runs N] [--seed N] [--mongodb PROGRAM] [--python PROGRAM]');
  process.exit(2);
}

/** mulberry32: the same seed gives the same schedules. */
function dice(seed) {
  let state = seed >>> 0;
  return (sides) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

let users = 0;
async function user(server) {
  users += 1;
  return new Account(server.url).register(`user${users}of${process.pid}`);
}

async function begin(account, connect, url) {
  const held = new Held(await account.cursor());
  return { held, client: await connect(account, held, url) };
}

/** What came must be the end of the history, event by event. */
async function agrees(account, held) {
  const history = await account.history();
  const from = history.length - account.renames;
  assert.deepEqual(held.positions, history.slice(from));
}

/** A call that a restart may cut: its idempotency key makes the repeat harmless. */
async function surely(account, url) {
  for (let tries = 0; ; tries += 1) {
    try {
      account.renames -= tries > 0 ? 1 : 0;
      return await account.event(url);
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function inOrder(server, connect) {
  const account = await user(server);
  const { held, client } = await begin(account, connect);
  for (let n = 0; n < 5; n += 1) await account.event();
  await held.until(await account.event());
  client.cut();
  for (let n = 0; n < 5; n += 1) await account.event();
  await held.until(await account.event());
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await server.restart(signal);
    await held.until(await surely(account));
  }
  await agrees(account, held);
  await client.close();
}

async function atRandom(server, connect, roll, withRestarts) {
  const account = await user(server);
  const { held, client } = await begin(account, connect);
  let last = '0';
  for (let step = 0; step < 12; step += 1) {
    const choice = roll(20);
    if (choice < 11) last = await surely(account);
    else if (choice < 15) client.cut();
    else if (choice < 17) client.pause();
    else if (choice < 19 || !withRestarts) client.resume();
    else await server.restart(roll(2) ? 'SIGKILL' : 'SIGTERM');
  }
  client.resume();
  last = await surely(account);
  await held.until(last);
  await agrees(account, held);
  await client.close();
}

/** A run followed by three clients at once, cut and slowed at random, one of them from its middle on. */
async function watched(server, roll, withRestarts) {
  const account = await user(server);
  const id = await account.start('Count to three.', 'the one run');
  const watching = [];
  const watch = async (connect) => {
    const text = new RunText(id);
    watching.push({ text, client: await connect(account, text) });
  };
  const clients = Object.values(CLIENTS);
  for (const connect of clients) await watch(connect);
  const isOver = () => watching.every(({ text }) => text.isOver);
  for (let step = 0; step < 200 && !isOver(); step += 1) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    const { client } = watching[roll(watching.length)];
    const choice = roll(20);
    if (choice < 6) client.cut();
    else if (choice < 8) client.pause();
    else if (choice < 10) client.resume();
    else if (choice === 10 && watching.length < 6) await watch(clients[roll(clients.length)]);
    else if (choice === 11 && withRestarts) await server.restart(roll(2) ? 'SIGKILL' : 'SIGTERM');
  }
  watching.forEach(({ client }) => client.resume());
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('a subscriber never saw the end')), 30_000).unref());
  await Promise.race([Promise.all(watching.map(({ text }) => text.ended)), late]);
  const run = await account.run(id);
  assert.equal(run.state, 'COMPLETED');
  for (const { text, client } of watching) {
    text.agrees(run);
    await client.close();
  }
  return run.steps.reduce((attempts, step) => attempts + step.attempt, 0);
}

async function acrossProcesses(mongodb) {
  const directory = mkdtempSync(join(tmpdir(), 'claviger-live-'));
  const port = await freePort();
  const database = spawn(mongodb, ['--port', port, '--cache-size', '128M', '--storage-path', join(directory, 'mongodb')], { stdio: 'ignore' });
  const uri = `mongodb://127.0.0.1:${port}/claviger?replicaSet=secantus&serverSelectionTimeoutMS=30000`;
  const environment = { ...sharedKeys(), CLAVIGER_MONGODB_URI: uri };
  const one = await new Server(program, directory, await freePort(), environment).start();
  const two = await new Server(program, directory, await freePort(), environment).start();
  for (const [name, connect] of Object.entries(CLIENTS)) {
    const account = await user(one);
    const { held, client } = await begin(account, connect, two.url);
    for (let n = 0; n < 5; n += 1) await account.event();
    await held.until(await account.event());
    client.cut();
    for (let n = 0; n < 5; n += 1) await account.event();
    await two.restart('SIGKILL');
    await held.until(await account.event());
    await agrees(account, held);
    await client.close();
    console.log(`${name}: subscribed at one process, written at another`);
  }
  await one.end('SIGTERM');
  await two.end('SIGTERM');
  database.kill('SIGKILL');
  await once(database, 'exit');
  rmSync(directory, { recursive: true });
}

/** Python's gql against a running server. */
async function fromPython(server, python) {
  const script = join(import.meta.dirname, 'gql_client.py');
  const run = spawn(python, [script, server.url], { stdio: 'inherit' });
  const [code] = await once(run, 'exit');
  assert.equal(code, 0, 'gql_client.py failed');
}

const directory = mkdtempSync(join(tmpdir(), 'claviger-live-'));
const simulated = await new Simulated(program, await freePort()).start();
const server = await new Server(program, directory, await freePort(), { CLAVIGER_ANTHROPIC_BASE_URL: simulated.url }).start();
for (const [name, connect] of Object.entries(CLIENTS)) {
  await inOrder(server, connect);
  console.log(`${name}: subscribed, cut, resumed, across a restart and a kill`);
}
if (values.python) await fromPython(server, values.python);
await examples(server.url, values.python);
const [schedules, roll] = [Number(values.schedules), dice(Number(values.seed))];
const names = Object.keys(CLIENTS);
for (let n = 0; n < schedules; n += 1) {
  const name = names[n % names.length];
  try {
    await atRandom(server, CLIENTS[name], roll, n % 10 === 9);
  } catch (error) {
    console.error(`schedule ${n} of seed ${values.seed} with ${name}`);
    throw error;
  }
}
console.log(`${schedules} random schedules: nothing lost, nothing doubled, nothing out of order`);
let attempts = 0;
for (let n = 0; n < Number(values.runs); n += 1) {
  try {
    attempts += await watched(server, roll, n % 3 === 2);
  } catch (error) {
    console.error(`run ${n} of seed ${values.seed}`);
    throw error;
  }
}
console.log(`${values.runs} runs of 3 steps in ${attempts} attempts, each followed by every client: every character once`);
await server.end('SIGTERM');
simulated.end();
rmSync(directory, { recursive: true });
if (values.mongodb) await acrossProcesses(values.mongodb);
process.exit(0);
