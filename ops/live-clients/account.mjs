// A user who makes events: each rename of a key is one.
export class Account {
  constructor(url) {
    this.url = url;
    this.renames = 0;
  }

  async ask(query, variables = {}, url = this.url) {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }

  async register(name) {
    const query = 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken userErrors { message } } }';
    const input = { username: name, email: `${name}@example.org`, password: 'correct horse battery' };
    const { register } = await this.ask(query, { input });
    if (!register.accessToken) throw new Error(JSON.stringify(register.userErrors));
    this.token = register.accessToken;
    const secret = `sk-ant-api03-${name}-${'x'.repeat(60)}AA`;
    const add = 'mutation ($input: AddKeyInput!) { addKey(input: $input) { key { id } userErrors { message } } }';
    const { addKey } = await this.ask(add, { input: { name: 'first', secret } });
    this.key = addKey.key.id;
    return this;
  }

  /** One more event, at this server or at another of the same store. */
  async event(url = this.url) {
    this.renames += 1;
    const query = 'mutation ($input: RenameKeyInput!) { renameKey(input: $input) { commit { position } userErrors { message } } }';
    const idempotencyKey = `rename ${this.renames}`;
    const { renameKey } = await this.ask(query, { input: { id: this.key, name: `name ${this.renames}`, idempotencyKey } }, url);
    return renameKey.commit.position;
  }

  /** Asks for a run of three agents, one after another. */
  async start(task, idempotencyKey) {
    const query = 'mutation ($input: StartOrchestrationInput!) { startOrchestration(input: $input) { orchestration { id } userErrors { message } } }';
    const agents = ['Ann', 'Bea', 'Cid'].map((name) => ({ name, systemPrompt: `You are ${name}.` }));
    const { startOrchestration } = await this.ask(query, { input: { pattern: { sequential: { task, agents } }, idempotencyKey } });
    if (!startOrchestration.orchestration) throw new Error(JSON.stringify(startOrchestration.userErrors));
    return startOrchestration.orchestration.id;
  }

  /** A run as it stands. */
  async run(id) {
    const query = 'query ($id: ID!) { orchestration(id: $id) { state steps { id state attempt output } } }';
    return (await this.ask(query, { id })).orchestration;
  }

  /** Where the events stand now. */
  async cursor() {
    return (await this.ask('{ viewer { eventsCursor } }')).viewer.eventsCursor;
  }

  /** A ticket for EventSource, which can't send a header. */
  async ticket() {
    return (await this.ask('mutation { createStreamTicket { ticket } }')).createStreamTicket.ticket;
  }

  /** Positions of all events, oldest first. */
  async history() {
    const query = 'query ($before: Cursor) { viewer { history(last: 100, before: $before) { edges { cursor node { position } } } } }';
    const found = [];
    for (let before = null; ; ) {
      const { edges } = (await this.ask(query, { before })).viewer.history;
      found.push(...edges.map((edge) => edge.node.position).reverse());
      if (edges.length < 100) return found;
      before = edges[0].cursor;
    }
  }
}
