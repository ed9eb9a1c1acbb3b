"""Subscribes with Python's gql over a WebSocket, is cut, and resumes. Exit code 0 only when every event came once and in order.

python gql_client.py URL
"""

import asyncio
import os
import sys

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

EVENTS = 20


async def ask(url, token, text, variables):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with Client(transport=AIOHTTPTransport(url=url, headers=headers)) as session:
        query = gql(text)
        query.variable_values = variables
        return await session.execute(query)


async def register(url):
    name = f"py{os.getpid()}"
    given = {"username": name, "email": f"{name}@example.org", "password": "correct horse battery"}
    text = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }"
    token = (await ask(url, None, text, {"input": given}))["register"]["accessToken"]
    text = "mutation ($input: AddKeyInput!) { addKey(input: $input) { key { id } } }"
    secret = f"sk-ant-api03-{name}-" + "x" * 60 + "AA"
    added = await ask(url, token, text, {"input": {"name": "first", "secret": secret}})
    return token, added["addKey"]["key"]["id"]


async def rename(url, token, key, n):
    text = "mutation ($input: RenameKeyInput!) { renameKey(input: $input) { commit { position } } }"
    renamed = await ask(url, token, text, {"input": {"id": key, "name": f"name {n}"}})
    return renamed["renameKey"]["commit"]["position"]


async def subscribe(url, token, after, count):
    """So many events after a cursor, then goes away."""
    transport = WebsocketsTransport(
        url=url.replace("http", "ws", 1),
        init_payload={"token": token},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    query = gql("subscription ($after: Cursor) { viewerEvents(after: $after) { cursor node { position } } }")
    query.variable_values = {"after": after}
    found = []
    async with Client(transport=transport) as session:
        async for message in session.subscribe(query):
            edge = message["viewerEvents"]
            found.append(edge["node"]["position"])
            after = edge["cursor"]
            if len(found) == count:
                break
    return found, after


async def main(url):
    token, key = await register(url)
    cursor = (await ask(url, token, "{ viewer { eventsCursor } }", {}))["viewer"]["eventsCursor"]
    made, held = [], []
    reading = asyncio.create_task(subscribe(url, token, cursor, EVENTS // 2))
    for n in range(EVENTS):
        made.append(await rename(url, token, key, n))
    found, cursor = await asyncio.wait_for(reading, 20)
    held += found
    found, _ = await asyncio.wait_for(subscribe(url, token, cursor, EVENTS - len(held)), 20)
    held += found
    if held != made:
        sys.exit(f"held {held}, made {made}")
    print(f"gql: {EVENTS} events over two connections, each once and in order")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
