// The corpus of streams, read by Anthropic's own clients and by orchestrations of Claviger: what the clients read, Claviger must read, with the
// same text and the same tokens. What it makes of each stream stands in corpus.json.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { Account } from '../live-clients/account.mjs';
import { Server, freePort } from '../live-clients/server.mjs';

const [python, claviger] = process.argv.slice(2);
if (!claviger) {
  console.error('usage: node corpus.mjs PYTHON CLAVIGER');
  process.exit(2);
}
const corpus = JSON.parse(readFileSync(new URL('corpus.json', import.meta.url), 'utf8'));

const bytes = ({ base64, lines, eol = '\n', open = false }) =>
  base64 === undefined ? Buffer.from(lines.join(eol) + (open ? '' : eol)) : Buffer.from(base64, 'base64');

const nameIn = (body) => /stream:([a-z0-9-]+);/.exec(JSON.stringify(JSON.parse(body).messages))?.[1];

/** Answers a message whose prompt names a stream with that stream. */
const upstream = createServer((request, response) => {
  let body = '';
  request.on('data', (data) => { body += data; });
  request.on('end', () => {
    const stream = request.url === '/v1/messages' ? corpus.find(({ name }) => name === nameIn(body)) : undefined;
    if (!stream) {
      response.writeHead(404).end();
      return;
    }
    const kind = stream.content_type ?? 'text/event-stream; charset=utf-8';
    if (kind !== '') response.setHeader('content-type', kind);
    if (stream.encoding) response.setHeader('content-encoding', stream.encoding);
    response.setHeader('request-id', 'req_corpus');
    response.end(bytes(stream));
  });
});
upstream.listen(0, '127.0.0.1');
await once(upstream, 'listening');
const baseURL = `http://127.0.0.1:${upstream.address().port}`;

const client = new Anthropic({ apiKey: 'sk-ant-api03-corpus', authToken: null, baseURL, maxRetries: 0, timeout: 20_000, logLevel: 'off' });
const ask = (name) => ({ model: 'claude-haiku-5-5', max_tokens: 1000, messages: [{ role: 'user', content: `stream:${name};` }] });
const textOf = (content) => (content ?? []).map((block) => (block.type === 'text' ? block.text : '')).join('');
// As it leaves the program: halves of characters can't be written down.
const written = (text) => Buffer.from(text, 'utf8').toString('utf8');

/** Both ways of reading: event by event, and the message that the client puts together. */
const readByTypeScript = async (name) => {
  let [text, isWhole, usage] = ['', false, {}];
  try {
    for await (const event of await client.messages.create({ ...ask(name), stream: true })) {
      if (event.type === 'message_start') usage = { ...event.message?.usage };
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
      if (event.type === 'message_delta') Object.entries(event.usage ?? {}).forEach(([key, count]) => { if (count !== null) usage[key] = count; });
      if (event.type === 'message_stop') isWhole = true;
    }
  } catch (error) {
    return { refused: String(error) };
  }
  try {
    const message = await client.messages.stream(ask(name)).finalMessage();
    [text, isWhole] = [textOf(message.content), true];
  } catch {
    // It reads the events, and puts no message together: the events count.
  }
  return isWhole ? { text: written(text), input: usage.input_tokens ?? 0, output: usage.output_tokens ?? 0 } : { refused: 'no end' };
};

const readByPython = async () => {
  const child = spawn(python, [new URL('corpus.py', import.meta.url).pathname, baseURL], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(corpus.map(({ name }) => name)));
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, 'the Python client could not be run: pip install anthropic');
  return JSON.parse(said);
};

/** Runs of one step: those that are to be read, and refusals, which no repeat mends. */
const readByClaviger = async () => {
  const directory = mkdtempSync(join(tmpdir(), 'claviger-corpus-'));
  const server = await new Server(claviger, directory, await freePort(), { CLAVIGER_ANTHROPIC_BASE_URL: baseURL }).start();
  try {
    const account = await new Account(server.url).register('corpus');
    const begin = 'mutation ($input: StartOrchestrationInput!) { startOrchestration(input: $input) { orchestration { id } userErrors { message } } }';
    const look = 'query ($id: ID!) { orchestration(id: $id) { state costNanoUsd steps { attempt output stopReason usage { inputTokens outputTokens } } } }';
    const read = {};
    for (const { name } of corpus.filter(({ fails }) => fails === undefined || fails === 'refusal')) {
      const agents = [{ name: 'Ann', systemPrompt: 'You read.', model: 'claude-haiku-5-5' }];
      const { startOrchestration } = await account.ask(begin, { input: { pattern: { sequential: { task: `stream:${name};`, agents } } } });
      const id = startOrchestration.orchestration?.id;
      assert.ok(id, JSON.stringify(startOrchestration.userErrors));
      let run;
      do {
        await new Promise((resolve) => { setTimeout(resolve, 5); });
        run = (await account.ask(look, { id })).orchestration;
      } while (!['COMPLETED', 'FAILED', 'PAUSED', 'CANCELLED'].includes(run.state) && run.steps[0]?.attempt !== 2);
      read[name] = run;
    }
    return read;
  } finally {
    await server.end('SIGTERM');
    rmSync(directory, { recursive: true });
  }
};

const PRICE = { input: 100, output: 500, cache_write_5m: 125, cache_write_1h: 200, cache_read: 10 };
/** Nano-dollars, by the price of claude-haiku-5-5. */
const costOf = ({ usage, terms, fails, name }) => {
  if (fails) return name === 'refusal-after-output' ? '110000' : '0';
  if (terms === 'unknown') return null;
  const sum = Object.entries(usage).reduce((cost, [kind, tokens]) => cost + PRICE[kind] * tokens, 0);
  return String(terms === 'us' ? Math.ceil(sum * 11 / 10) : sum);
};

const byPython = await readByPython();
const byClaviger = await readByClaviger();
const wrong = [];
const compared = { typescript: 0, python: 0, claviger: 0 };
for (const stream of corpus) {
  const { name } = stream;
  const run = byClaviger[name];
  if (run) {
    compared.claviger += 1;
    const [step] = run.steps;
    const cost = costOf(stream);
    if (run.costNanoUsd !== cost) wrong.push(`${name}: the run costs ${run.costNanoUsd}, and it should cost ${cost}`);
    const tokens = `${step.usage.inputTokens} and ${step.usage.outputTokens}`;
    const seen = run.state === 'COMPLETED' ? [step.output, tokens, step.stopReason, step.attempt] : [run.state];
    const expected = stream.fails ? ['FAILED'] : [stream.text, `${stream.usage.input} and ${stream.usage.output}`, stream.stop, 1];
    if (JSON.stringify(seen) !== JSON.stringify(expected)) wrong.push(`${name}: the run has ${JSON.stringify(seen)}, and it should have ${JSON.stringify(expected)}`);
  }
  const read = { typescript: await readByTypeScript(name), python: byPython[name] };
  for (const sdk of ['typescript', 'python']) {
    const seen = read[sdk];
    const does = seen.refused === undefined ? 'reads' : 'refuses';
    if (does !== stream[sdk]) wrong.push(`${name}: the ${sdk} client ${does} it: ${JSON.stringify(seen)}`);
    if (does === 'refuses') continue;
    if (stream.fails !== undefined) {
      // A refusal of the model is a message for the clients and a failure for a run.
      if (stream.fails !== 'refusal' && !stream.stricter) wrong.push(`${name}: the ${sdk} client reads it, and we don't: ${JSON.stringify(seen)}`);
      continue;
    }
    compared[sdk] += 1;
    const ours = { text: stream.text, input: stream.usage.input, output: stream.usage.output };
    for (const part of ['text', 'input', 'output']) {
      if (seen[part] !== ours[part] && !stream.differs?.startsWith(part === 'text' ? 'text' : 'usage')) {
        wrong.push(`${name}: the ${sdk} client has the ${part} ${JSON.stringify(seen[part])}, and we have ${JSON.stringify(ours[part])}`);
      }
    }
  }
}
upstream.close();
wrong.forEach((line) => console.error(line));
assert.equal(wrong.length, 0);
console.log(`ok     ${corpus.length} streams; read by the TypeScript client: ${compared.typescript}, by the Python client: ${compared.python}, by runs: ${compared.claviger}`);
