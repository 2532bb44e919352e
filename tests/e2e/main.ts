// main.ts [NAME...]: starts the region, imports the test files (all, or NAME.test.ts) and runs them in this process, one
// after the other, in the order below: what kills the daemon comes last.
import { after } from 'node:test';

import { FAKE, removeRegion, startRegion, stopRegion } from './region.ts';

const ALL = [
  'regions', 'sts', 'errors', 'conformance', 'compatibility', 'keys', 'kms', 'security_groups', 'network', 'import', 'formats',
  'snapshots', 'copies', 'remote_copies',
  'snapshot_blocks', 'snapshot_writes', 'volumes', 'images', 'image_sharing', 'snapshot_sharing', 'image_lifecycle', 'recycle_bin', 'snapshot_tiers', 'fast_restores', 'image_lineage', 'usage_reports', 'tags', 'accounts', 'usage', 'instances', 'instance_profiles', 'guests', 'debian',
  'encryption', 'authorisation', 'lifecycle_authorisation', 'iam', 'every_operation', 'concurrency', 'audit', 'cli', 'boto3', 'ansible', 'parameters', 'image_aliases', 'launch_templates', 'organizations', 'full_disk',
  'recovery',
];

const names = process.argv.slice(2);
const unknown = names.filter((name) => !ALL.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`there is no tests/e2e/${unknown[0]}.test.ts; there are: ${ALL.join(' ')}\n`);
  process.exit(2);
}

process.on('exit', (status) => removeRegion(status !== 0));
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

const began = Date.now();
await startRegion();
process.stderr.write(`region ready after ${((Date.now() - began) / 1000).toFixed(1)} s${FAKE ? ', without guests' : ''}\n`);
after(stopRegion);
// What all of them together have to have called.
for (const name of names.length > 0 ? names : [...ALL, 'coverage']) await import(`./${name}.test.ts`);
