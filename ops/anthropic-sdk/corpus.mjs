// The corpus of streams, read by Anthropic's own clients: what they read, Claviger must read, with the same text and the same tokens.
// What Claviger makes of each stream stands in corpus.json, and its tests hold it to that.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import Anthropic from '@anthropic-ai/sdk';

const python = process.argv[2] ?? 'python3';
const corpus = JSON.parse(readFileSync(new URL('corpus.json', import.meta.url), 'utf8'));

const bytes = ({ base64, lines, eol = '\n', open = false }) =>
  base64 === undefined ? Buffer.from(lines.join(eol) + (open ? '' : eol)) : Buffer.from(base64, 'base64');

/** Answers a message whose prompt is the name of a stream with that stream. */
const upstream = createServer((request, response) => {
  let body = '';
  request.on('data', (data) => { body += data; });
  request.on('end', () => {
    const stream = corpus.find(({ name }) => JSON.parse(body).messages[0].content === name);
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
const ask = (name) => ({ model: 'claude-haiku-5-5', max_tokens: 1000, messages: [{ role: 'user', content: name }] });
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

const byPython = await readByPython();
const wrong = [];
const compared = { typescript: 0, python: 0 };
for (const stream of corpus) {
  const { name } = stream;
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
console.log(`ok     ${corpus.length} streams; compared with the TypeScript client: ${compared.typescript}, with the Python client: ${compared.python}`);
