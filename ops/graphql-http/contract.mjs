// Compares the schema with the contract, as a client that was made for the contract would meet it. Exit code 0 only when nothing that
// the contract has is gone or narrower, but for what doesn't exist yet.
//   node contract.mjs ../../graphql/contract.graphql ../../graphql/schema.graphql
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';
import { readFileSync } from 'node:fs';

/** Parts of the contract that are still to come. Each must be missing: what has come leaves this list. */
const TO_COME = [
  'AsOfInput',
  'Audit',
  'AuditKey',
  'InclusionProof',
  'Query.audit',
  'Query.key.asOf',
  'Viewer.defaultKey.asOf',
  'Viewer.keys.asOf',
  'Viewer.resolution.asOf',
];

const paths = process.argv.slice(2);
if (paths.length !== 2) {
  console.error('usage: node contract.mjs CONTRACT SCHEMA');
  process.exit(2);
}
const [contract, schema] = paths.map((path) => buildSchema(readFileSync(path, 'utf8')));
const changes = await diff(contract, schema);
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
const broken = breaking.filter(({ path }) => !TO_COME.includes(path));
for (const { message, path } of broken) console.error(`${path}: ${message}`);
const come = TO_COME.filter((part) => !breaking.some(({ path }) => path === part));
for (const part of come) console.error(`${part} is there: take it off the list`);
if (broken.length > 0 || come.length > 0) process.exit(1);
console.log(`no breaking change against the contract; ${TO_COME.length} parts of it are still to come`);
