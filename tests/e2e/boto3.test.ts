// boto3 that Debian has (1.26): the scenarios of clients/boto3_client.py, each in a process of its own.
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { before, describe, test } from 'node:test';

import { run } from './processes.ts';
import { ACCOUNT, awsEnvironment, endpoint, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, snapshotOf } from './things.ts';

const missing = fs.existsSync('/usr/lib/python3/dist-packages/boto3') ? false : 'python3-boto3 is not installed; ./dev deps installs it';

const SCENARIOS = {
  images: 'images are registered, found, shared, changed and deregistered',
  pages: 'pages of images are all of them, once each',
  resources: 'the resource interface finds what it reads',
  instances: 'an instance is launched, stopped, imaged and terminated, with the waiters of each',
  blocks: 'blocks of snapshots are listed, read and written',
  keys: 'keys encrypt and decrypt',
  identities: 'users have policies and keys, and may do what those say',
  recycle_bin: 'rules of the recycle bin are made and deleted',
  presigned: 'a presigned URL is answered',
};

describe('boto3', { skip: missing }, () => {
  let env: NodeJS.ProcessEnv = {};
  before(async () => {
    const image = await baseImage();
    env = {
      ...awsEnvironment(ACCOUNT, REGION), KILN_ENDPOINT: endpoint(), KILN_IMAGE: image.ImageId, KILN_SNAPSHOT: snapshotOf(image), KILN_OTHER: OTHER_ACCOUNT,
      PYTHONDONTWRITEBYTECODE: '1',
    };
  });

  for (const [scenario, promise] of Object.entries(SCENARIOS)) {
    test(promise, async () => {
      const script = path.join(import.meta.dirname, 'clients/boto3_client.py');
      const ran = await run(['/usr/bin/python3', script, scenario], { env, seconds: 180 });
      assert.equal(ran.status, 0, ran.stderr + ran.stdout);
    });
  }
});
