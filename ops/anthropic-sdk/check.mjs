// Anthropic's own client against the simulated upstream: the wire is right if it takes it, and the errors if it knows them.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';

const [baseURL] = process.argv.slice(2);
if (!baseURL) {
  console.error('usage: node check.mjs http://127.0.0.1:8006');
  process.exit(2);
}
// The keys as `claviger simulate --keys` makes them: the scenario stands in the text.
const key = (scenario) => `sk-ant-api03-${`${scenario}-${'x'.repeat(93)}`.slice(0, 93)}AA`;
const client = (scenario) => new Anthropic({ apiKey: key(scenario), authToken: null, baseURL, maxRetries: 0, timeout: 20_000 });
const ask = { model: 'claude-haiku-5-5', max_tokens: 1000, messages: [{ role: 'user', content: 'Grüße 🦀' }] };

const whole = await client('good').messages.create(ask);
assert.equal(whole.stop_reason, 'end_turn');
assert.match(whole.content[0].text, /Grüße 🦀/);
assert.ok(whole.usage.input_tokens > 0 && whole._request_id);
console.log('ok     a message');

for (const scenario of ['good', 'split']) {
  const stream = client(scenario).messages.stream(ask);
  let heard = '';
  stream.on('text', (text) => { heard += text; });
  const streamed = await stream.finalMessage();
  assert.equal(heard, whole.content[0].text);
  assert.equal(streamed.content[0].text, heard);
  assert.equal(streamed.stop_reason, 'end_turn');
  assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
  console.log(`ok     a stream (${scenario})`);
}

const schema = { type: 'object', properties: { name: { enum: ['Ann'] } } };
const made = await client('good').messages.create({ ...ask, output_config: { format: { type: 'json_schema', schema } } });
assert.deepEqual(JSON.parse(made.content[0].text), { name: 'Ann' });
console.log('ok     an answer by schema');

assert.ok((await client('good').models.list({ limit: 1 })).data[0].id);
assert.ok((await client('good').messages.countTokens({ model: ask.model, messages: ask.messages })).input_tokens > 0);
console.log('ok     models and counts');

const refused = async (call, name, expected, status) => {
  const error = await call.then(() => assert.fail(`${name} succeeded`), (error) => error);
  assert.ok(error instanceof expected, `${name}: ${error}`);
  assert.equal(error.status, status, name);
  console.log(`ok     ${name} is a ${expected.name}`);
};
for (const [scenario, expected, status] of [
  ['bad-request', Anthropic.BadRequestError, 400],
  ['no-credit-400', Anthropic.BadRequestError, 400],
  ['revoked', Anthropic.AuthenticationError, 401],
  ['no-credit-402', Anthropic.APIError, 402],
  ['forbidden-model', Anthropic.PermissionDeniedError, 403],
  ['unknown-model', Anthropic.NotFoundError, 404],
  ['conflict', Anthropic.ConflictError, 409],
  ['rate-limited', Anthropic.RateLimitError, 429],
  ['server-500', Anthropic.InternalServerError, 500],
  ['overloaded', Anthropic.InternalServerError, 529],
  ['reset', Anthropic.APIConnectionError, undefined],
]) {
  await refused(client(scenario).messages.create(ask), scenario, expected, status);
  await refused(client(scenario).messages.stream(ask).finalMessage(), `${scenario}, streamed,`, expected, status);
}
for (const scenario of ['stream-error', 'stream-cut']) {
  await refused(client(scenario).messages.stream(ask).finalMessage(), scenario, Anthropic.AnthropicError, undefined);
}
