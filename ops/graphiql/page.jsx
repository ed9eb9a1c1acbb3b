// The page at /graphiql: the stock GraphiQL with a fetcher of our own, because the stock one knows neither our WebSocket's
// init payload nor that nothing here may ask another host.
import { createClient } from 'graphql-ws';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import './page.css';

const ENDPOINT = new URL('/graphql', window.location.href);
const SOCKET = new URL('/graphql', window.location.href);
SOCKET.protocol = SOCKET.protocol === 'https:' ? 'wss:' : 'ws:';

// One socket per token: the server judges the token once, when the socket opens.
let socket = { token: undefined, client: undefined };

function clientFor(token) {
  if (socket.client === undefined || socket.token !== token) {
    socket.client?.dispose();
    socket = { token, client: createClient({ url: SOCKET.href, lazy: true, connectionParams: { token } }) };
  }
  return socket.client;
}

function bearer(headers) {
  const [, value] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization') ?? [];
  return typeof value === 'string' ? value.replace(/^bearer\s+/i, '') : undefined;
}

function isSubscription(documentAST, operationName) {
  const operations = documentAST?.definitions.filter((definition) => definition.kind === 'OperationDefinition') ?? [];
  const chosen = operationName ? operations.find(({ name }) => name?.value === operationName) : operations[0];
  return chosen?.operation === 'subscription';
}

async function fetcher(params, options) {
  const headers = options?.headers ?? {};
  if (isSubscription(options?.documentAST, params.operationName)) {
    return clientFor(bearer(headers)).iterate(params);
  }
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: { ...headers, accept: 'application/graphql-response+json, application/json', 'content-type': 'application/json' },
    body: JSON.stringify(params),
  });
  return response.json();
}

const WELCOME = `# Claviger's GraphQL API.
#
# Most fields want a token: sign in with the login mutation and put
#   { "Authorization": "Bearer <accessToken>" }
# into the Headers editor below. It is kept in this tab only.
# Secrets (passwords, API keys) go into the Variables editor, never into the text of a query.
`;

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultQuery={WELCOME}
    defaultEditorToolsVisibility="headers"
    defaultHeaders={'{\n  "Authorization": "Bearer "\n}'}
    isHeadersEditorEnabled
    shouldPersistHeaders={false}
    showPersistHeadersSettings={false}
  />,
);
