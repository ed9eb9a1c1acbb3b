// Runs every server audit of graphql-http against one URL. Exit code 0 only when all of them are "ok".
import { serverAudits } from 'graphql-http';

const EXPECTED = 61;
const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node audit.mjs http://127.0.0.1:8005/graphql');
  process.exit(2);
}

const counts = { ok: 0, notice: 0, warn: 0, error: 0 };
for (const audit of serverAudits({ url })) {
  const result = await audit.fn();
  counts[result.status] += 1;
  const reason = result.status === 'ok' ? '' : `: ${result.reason}`;
  console.log(`${result.status.padEnd(6)} ${audit.id} ${audit.name}${reason}`);
  if (result.response?.body && !result.response.bodyUsed) await result.response.body.cancel();
}

const failed = counts.notice + counts.warn + counts.error;
console.log(`${counts.ok} passed, ${failed} failed`);
if (counts.ok !== EXPECTED || failed > 0) {
  console.error(`expected ${EXPECTED} audits, all ok`);
  process.exit(1);
}
