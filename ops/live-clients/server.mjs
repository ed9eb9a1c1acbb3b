// A real server process, on a port that stays the same when it is started again.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Keys that processes of one store share. */
export const sharedKeys = () => ({
  CLAVIGER_MASTER_KEYS: randomBytes(32).toString('base64'),
  CLAVIGER_TOKEN_KEY: randomBytes(32).toString('base64'),
});

export class Server {
  constructor(program, directory, port, environment = {}) {
    Object.assign(this, { program, directory, port, environment });
    this.url = `http://127.0.0.1:${port}/graphql`;
  }

  async start() {
    const settings = ['--listen', `127.0.0.1:${this.port}`, '--data-dir', this.directory, '--drain-ms', '2000'];
    const env = { PATH: process.env.PATH, CLAVIGER_LOG: 'error', ...this.environment };
    this.process = spawn(this.program, ['serve', ...settings], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.process, 'exit');
    const ready = (async () => {
      for await (const chunk of this.process.stdout) {
        if (String(chunk).includes('claviger listens on')) return true;
      }
      return false;
    })();
    const started = await Promise.race([ready, this.ended.then(() => false)]);
    if (!started) throw new Error('the server did not start');
    this.process.stdout.resume();
    return this;
  }

  async end(signal) {
    this.process.kill(signal);
    await this.ended;
  }

  async restart(signal) {
    await this.end(signal);
    await this.start();
  }
}

/** The simulated Anthropic. */
export class Simulated {
  constructor(program, port) {
    Object.assign(this, { program, port });
    this.url = `http://127.0.0.1:${port}`;
  }

  async start() {
    const settings = ['simulate', '--at', `127.0.0.1:${this.port}`, '--pace-ms', '15'];
    this.process = spawn(this.program, settings, { env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const chunk of this.process.stdout) {
      if (String(chunk).includes('listens on')) break;
    }
    return this;
  }

  end() {
    this.process.kill('SIGKILL');
  }
}
