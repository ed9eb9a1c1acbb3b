// The clients, each behind one face: subscribe after a cursor, hand over events, be cut. All keep the same rule: an event that lies
// at or before the last one held is dropped, because stock clients that reconnect send the `after` they began with.
import { EventSource } from 'eventsource';
import { createClient as createSse } from 'graphql-sse';
import { createClient as createWs } from 'graphql-ws';
import WebSocket from 'ws';

/** What a subscriber of the viewer's events holds. */
export class Held {
  query = 'subscription ($after: Cursor) { viewerEvents(after: $after) { cursor node { position type } } }';

  constructor(after) {
    this.cursor = after;
    this.positions = [];
    this.waiting = [];
  }

  variables() {
    return { after: this.cursor };
  }

  take({ viewerEvents: { cursor, node } }) {
    const last = this.positions.at(-1);
    if (last !== undefined && BigInt(node.position) <= BigInt(last)) return;
    this.positions.push(node.position);
    this.cursor = cursor;
    this.waiting = this.waiting.filter((wait) => !wait());
  }

  /** Resolves once it holds the event at this position. */
  until(position, limit = 20_000) {
    return new Promise((resolve, reject) => {
      const there = () => BigInt(this.positions.at(-1) ?? 0) >= BigInt(position);
      if (there()) return resolve();
      const timer = setTimeout(() => reject(new Error(`position ${position} did not come in ${limit} ms`)), limit);
      this.waiting.push(() => {
        if (!there()) return false;
        clearTimeout(timer);
        resolve();
        return true;
      });
    });
  }
}

function received(held, message) {
  if (message.errors) throw new Error(JSON.stringify(message.errors));
  held.take(message.data);
}

/** graphql-ws, which reconnects by itself and then sends the same variables again. */
export function overWebSocket(account, held, url = account.url) {
  const sockets = new Set();
  class Tracked extends WebSocket {
    constructor(...given) {
      super(...given);
      sockets.add(this);
      this.on('close', () => sockets.delete(this));
    }
  }
  const client = createWs({
    url: url.replace('http', 'ws'),
    webSocketImpl: Tracked,
    connectionParams: () => ({ token: account.token }),
    // A server that ends calls under way before it starts again may be away for seconds.
    retryAttempts: 10_000,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)),
    shouldRetry: () => true,
  });
  const failed = (error) => console.error('graphql-ws:', error);
  const { query } = held;
  const stop = client.subscribe({ query, variables: held.variables() }, { next: (message) => received(held, message), error: failed, complete() {} });
  return {
    // As a network does it: no goodbye.
    cut: () => sockets.forEach((socket) => socket.terminate()),
    pause: () => sockets.forEach((socket) => socket.readyState === WebSocket.OPEN && socket.pause()),
    resume: () => sockets.forEach((socket) => socket.readyState === WebSocket.OPEN && socket.resume()),
    async close() {
      stop();
      await client.dispose();
    },
  };
}

/** A network that can be cut: fetches that go on end, and later ones are let through. */
function network() {
  let connections = new AbortController();
  return {
    fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.any([init.signal, connections.signal]) }),
    cut() {
      connections.abort(new Error('cut'));
      connections = new AbortController();
    },
  };
}

/** graphql-sse, which reconnects by itself when it is told to. */
export function overSse(account, held, url = account.url) {
  const net = network();
  const client = createSse({
    url,
    headers: () => ({ authorization: `Bearer ${account.token}` }),
    fetchFn: net.fetch,
    retryAttempts: 10_000,
    retry: () => new Promise((resolve) => setTimeout(resolve, 20)),
  });
  let stop;
  const subscribe = () => {
    stop = client.subscribe(
      { query: held.query, variables: held.variables() },
      // A stream that ends, in order or not, is opened again from where it was.
      { next: (message) => received(held, message), error: () => again(), complete: () => (held.isOver ? undefined : again()) },
    );
  };
  let closed = false;
  const again = () => closed || setTimeout(() => closed || subscribe(), 20);
  subscribe();
  return {
    cut: net.cut,
    pause() {},
    resume() {},
    async close() {
      closed = true;
      stop();
      client.dispose();
    },
  };
}

/**
 * EventSource with a ticket, which sends Last-Event-ID by itself. Where it gives up (it was cut before it heard anything, so it has no id
 * and its ticket is spent) the page takes another ticket, as it would after a long sleep.
 */
export async function overEventSource(account, held, url = account.url) {
  const net = network();
  let source;
  let closed = false;
  const open = async () => {
    const address = new URL(url);
    address.searchParams.set('query', held.query);
    address.searchParams.set('variables', JSON.stringify(held.variables()));
    address.searchParams.set('ticket', await account.ticket());
    if (closed) return;
    source = new EventSource(address, { fetch: net.fetch });
    source.addEventListener('next', (event) => received(held, JSON.parse(event.data)));
    const opened = source;
    // An ended run answers 204, after which EventSource stays away.
    source.addEventListener('error', () => opened.readyState === EventSource.CLOSED && !held.isOver && again());
  };
  const again = () => setTimeout(() => closed || open().catch(again), 20);
  await open();
  return {
    cut: net.cut,
    pause() {},
    resume() {},
    async close() {
      closed = true;
      source.close();
    },
  };
}

export const CLIENTS = { 'graphql-ws': overWebSocket, 'graphql-sse': overSse, eventsource: overEventSource };
