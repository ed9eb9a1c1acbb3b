#!/usr/bin/env python3
"""Golden vectors of ops/docs/FORMATS.md, written from its text alone and not from the Rust code.

    python3 -m venv VENV && VENV/bin/pip install pycryptodome
    VENV/bin/python ops/formats/vectors.py            # writes vectors.json beside this file
    VENV/bin/python ops/formats/vectors.py --check    # fails if the file would change

Nothing here is random: the same text gives the same file. What the file holds once is never changed, only added to.
All bytes are lower-case hexadecimal unless a name says otherwise; `text_utf8` is the text itself.
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path
from uuid import UUID

from Crypto.Cipher import ChaCha20_Poly1305

PIECE = 262_144


# Section 1: notation.
def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def field(value):
    """An argument of lps as bytes: integers as u64, ids as 16 bytes, text as UTF-8, bytes themselves, None as absent."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, int):
        return u64(value)
    return value.encode()


def lp(value):
    data = field(value)
    return u32(len(data)) + data


def lps(*values):
    return b"".join(lp(value) for value in values)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def keyed(key, *args):
    return hmac.new(key, lps(*args), hashlib.sha256).digest()


def hkdf(salt, ikm, info, length):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    okm, block, n = b"", b"", 0
    while len(okm) < length:
        n += 1
        block = hmac.new(prk, block + info + bytes([n]), hashlib.sha256).digest()
        okm += block
    return okm[:length]


# Section 3: boxes.
def xchacha(key, nonce, ad, text):
    cipher = ChaCha20_Poly1305.new(key=key, nonce=nonce)
    cipher.update(ad)
    ciphertext, tag = cipher.encrypt_and_digest(text)
    return ciphertext + tag


def seal(key, nonce, ad, text):
    okm = hkdf(nonce, key, b"claviger/box/1", 64)
    return b"\x01" + nonce + okm[32:] + xchacha(okm[:32], nonce, ad, text)


def kek_id(kek):
    return hkdf(b"", kek, b"claviger/kek-id/1", 32)[:8]


# Section 2: leaves and the tree.
def content_digest(boxes):
    return sha256(u32(len(boxes)) + b"".join(lp(box) for box in boxes))


def leaf_hash(body):
    return sha256(b"\x00" + body)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def tree_root(leaves):
    """MTH of RFC 6962, section 2.1, by its recursive definition."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def frontier(leaves):
    roots, start = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        size = 1 << bit
        if len(leaves) & size:
            roots.append(tree_root(leaves[start : start + size]))
            start += size
    return roots


def fold(roots):
    if not roots:
        return sha256(b"")
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


def self_test():
    """The building blocks against their own specifications, so that a broken library can't make broken vectors."""
    # RFC 5869, A.1
    okm = hkdf(bytes(range(13)), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    # RFC 4231, 4.3
    tag = hmac.new(b"Jefe", b"what do ya want for nothing?", hashlib.sha256).hexdigest()
    assert tag == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    # draft-irtf-cfrg-xchacha-03, A.3.1
    text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    out = xchacha(bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), text)
    assert out[-16:].hex() == "c0875924c1c7987947deafd8780acf49" and out[:8].hex() == "bd6d179d3e83d43b"


# Fixed inputs. Keys and nonces are hashes of their names: every byte differs, and none can be mistaken for another.
def key(name):
    return sha256(b"vector key " + name.encode())


def nonce(name):
    return sha256(b"vector nonce " + name.encode())[:24]


OWNER = UUID("01980000-0000-7000-8000-00000000000a")
KEY = UUID("01980000-0001-7000-8000-00000000000b")
RUN = UUID("01980000-0002-7000-9000-00000000000c")
SESSION = UUID("01980000-0003-7000-a000-00000000000d")
EVENT = UUID("01980000-0004-7000-b000-00000000000e")
CAUSE = UUID("01980000-0005-7000-8000-00000000000f")
CORRELATION = UUID("01980000-0006-7000-8000-000000000010")
TOKEN = UUID("01980000-0007-7000-9000-000000000011")
SECRET = "sk-ant-api03-R2D2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-_igAA"
RING = f"key-ring/{OWNER}"


def kek_ids():
    return [{"kek": kek.hex(), "id": kek_id(kek).hex()} for kek in (key("kek 1"), key("kek 2"), bytes(32))]


def box(purpose, sealing_key, ad, text, inputs):
    used = nonce(purpose)
    shown = {name: str(value) if isinstance(value, UUID) else value for name, value in inputs.items()}
    entry = {"purpose": purpose, "key": sealing_key.hex(), "nonce": used.hex(), "inputs": shown, "ad": ad.hex()}
    entry |= {"text": text.hex(), "box": seal(sealing_key, used, ad, text).hex()}
    return entry


def boxes():
    kek, user_key = key("kek 1"), key("user key")
    one = b"\x01"
    owner = {"owner": OWNER}
    version = {"user_key_version": 3}
    view = {"stream": RING, "view": "keys", "row": KEY}
    event = {"stream": RING, "version": 7, "type": "KeyAdded", "schema": 1}
    json_text = '{"name":"Müller’s key"}'.encode()
    delta = f'[{{"step":"{SESSION}","attempt":1,"offset":4,"text":"ß 😀"}}]'
    content_ad = lps("claviger/content/1", one, OWNER, RING, 7, "KeyAdded", 1, 0, 1)
    return [
        box("user-key", kek, lps("claviger/user-key/1", one, OWNER, 3, kek_id(kek)), user_key, owner | version),
        box("user-index-key", user_key, lps("claviger/user-index-key/1", one, OWNER, 3), key("index key"), owner | version),
        box("content-key", user_key, lps("claviger/content-key/1", one, OWNER, RING, 3), key("content key"),
            owner | {"stream": RING} | version),
        box("data-key", user_key, lps("claviger/data-key/1", one, OWNER, KEY, 2, 3), key("data key"),
            owner | {"key_id": KEY, "secret_version": 2} | version),
        box("credential", user_key, lps("claviger/credential/1", one, OWNER, "password", 4, 3),
            b"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA", owner | {"password_version": 4} | version),
        box("store-index-key", kek, lps("claviger/store-index-key/1", one, kek_id(kek)), key("store index key"), {}),
        box("store-index-key-2", kek, lps("claviger/store-index-key/2", one, kek_id(kek)), key("store index key") + u64(83),
            {"signed_since": 83}),
        box("canary", kek, lps("claviger/canary/1", one, kek_id(kek)), b"claviger", {}),
        box("secret", key("data key"), lps("claviger/secret/1", one, OWNER, KEY, 2), SECRET.encode(),
            owner | {"key_id": KEY, "secret_version": 2}),
        box("content", key("content key"), content_ad, json_text, owner | event),
        box("content-empty", key("content key"), content_ad, b"", owner | event),
        box("view", key("content key"), lps("claviger/view/1", one, OWNER, RING, "keys", KEY), json_text, owner | view),
        box("delta", key("content key"), lps("claviger/delta/1", one, OWNER, f"run/{RUN}", 9, 3), delta.encode(),
            owner | {"stream": f"run/{RUN}", "v": 9, "d": 3}),
    ]


def cut_content():
    """Content around the length of a piece. The text is byte i = i mod 251; boxes are shown by their hashes, being long."""
    out = []
    for length in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 5):
        text = bytes(i % 251 for i in range(length))
        pieces = [text[at : at + PIECE] for at in range(0, length, PIECE)]
        nonces = [nonce(f"cut {length} {index}") for index in range(len(pieces))]
        sealed = [
            seal(key("content key"), nonces[index],
                 lps("claviger/content/1", b"\x01", OWNER, f"run/{RUN}", 9, "StepCompleted", 2, index, len(pieces)), piece)
            for index, piece in enumerate(pieces)
        ]
        out.append({
            "text": f"byte i = i mod 251, {length} bytes", "length": length, "key": key("content key").hex(),
            "inputs": {"owner": str(OWNER), "stream": f"run/{RUN}", "version": 9, "type": "StepCompleted", "schema": 2},
            "nonces": [used.hex() for used in nonces],
            "box_lengths": [len(piece) for piece in sealed],
            "box_sha256": [sha256(piece).hex() for piece in sealed],
            "content_digest": content_digest(sealed).hex(),
        })
    return out


def hashes():
    index_key, store_key = key("index key"), key("store index key")
    canonical = '{"context":"default","name":"Müller","secret":"' + SECRET + '"}'
    name, lowered = "müller strasse", "anna.müller@example.org"
    issuer, subject = "https://login.example.org/", "00u1ada"
    command = keyed(index_key, "claviger/command/1", "addKey", "4711")[:16]
    request = keyed(index_key, "claviger/request/1", "addKey", canonical)
    return {
        "index_key": index_key.hex(),
        "store_index_key": store_key.hex(),
        "command_id": {"mutation": "addKey", "idempotency_key": "4711", "value": command.hex()},
        "request_hash": {"mutation": "addKey", "canonical_input_utf8": canonical, "value": request.hex()},
        "context_tags": [
            {"context": context, "value": keyed(index_key, "claviger/context/1", context)[:16].hex()}
            for context in ("default", "Büro", "b")
        ],
        "fingerprint": {"secret_utf8": SECRET, "value": keyed(index_key, "claviger/fingerprint/1", SECRET).hex()},
        "claim_username": {"folded": name, "value": keyed(store_key, "claviger/claim/username/1", name).hex()},
        "claim_identity": {"issuer": issuer, "subject": subject,
                           "value": keyed(store_key, "claviger/claim/identity/1", issuer, subject).hex()},
        "claim_email": {"email": lowered, "value": keyed(store_key, "claviger/claim/email/1", lowered).hex()},
    }


def refresh_tokens():
    out, store_key = [], key("store index key")
    for generation in (1, 2, 0xFFFFFFFF):
        mac = keyed(store_key, "claviger/refresh/1", SESSION, generation)
        token = b64(b"\x01" + SESSION.bytes + u32(generation) + mac)
        out.append({"store_index_key": store_key.hex(), "session_id": str(SESSION), "generation": generation,
                    "mac": mac.hex(), "token": token})
    return out


def refresh_tokens_2():
    """Refresh tokens that name their user."""
    out, store_key = [], key("store index key")
    for generation in (1, 2, 0xFFFFFFFF):
        mac = keyed(store_key, "claviger/refresh/2", SESSION, OWNER, generation)
        token = b64(b"\x02" + SESSION.bytes + OWNER.bytes + u32(generation) + mac)
        out.append({"store_index_key": store_key.hex(), "session_id": str(SESSION), "owner": str(OWNER),
                    "generation": generation, "mac": mac.hex(), "token": token})
    return out


def session_macs():
    store_key = key("store index key")
    return [
        {"store_index_key": store_key.hex(), "session_id": str(SESSION), "owner": str(OWNER), "generation": generation,
         "expires_at": until, "mac": keyed(store_key, "claviger/session/1", SESSION, OWNER, generation, until).hex()}
        for generation, until in ((1, 1_760_000_000_000), (7, 2**63 - 1))
    ]


def event_signatures():
    store_key = key("store index key")
    return [
        {"store_index_key": store_key.hex(), "leaf": one["leaf"], "root_before": before.hex(),
         "signature": (before + keyed(store_key, "claviger/event-signature/1", bytes.fromhex(one["leaf"]), before)).hex()}
        for one, before in zip(leaves()[:2] + leaves_2()[:1], (hashlib.sha256(b"").digest(), bytes(range(32)), bytes([255] * 32)))
    ]


def leaf(name, facts, sealed=(), envelope=1, **changes):
    """An event of version `envelope`. The fields of version 2 stand between actor_via and command_id, as in the table."""
    credential = {"actor_credential_kind": None, "actor_credential_id": None} if envelope == 2 else {}
    event = {
        "position": 1, "stream": RING, "owner": OWNER, "version": 1, "id": EVENT, "type": "KeyAdded", "schema": 1,
        "at": 1_760_000_000_000, "actor_user": OWNER, "actor_role": "user", "actor_via": "graphql", **credential,
        "command_id": sha256(b"vector command")[:16], "correlation_id": CORRELATION, "causation_id": None,
    }
    assert changes.keys() <= event.keys()
    event |= changes
    facts = facts.encode()
    digest = content_digest(sealed) if sealed else None
    content = b"\x01" + digest if sealed else b"\x00"
    body = lps(f"claviger/event/{envelope}", *event.values(), facts, content)
    shown = {
        field_name: value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, UUID) else value
        for field_name, value in event.items()
    }
    marked = {"envelope": envelope} if envelope > 1 else {}
    return {
        "name": name, **marked, "event": shown, "facts_utf8": facts.decode(), "content_boxes": [part.hex() for part in sealed],
        "content_digest": digest and digest.hex(), "body": body.hex(), "leaf": leaf_hash(body).hex(),
    }


def leaves():
    real = bytes.fromhex(next(entry["box"] for entry in boxes() if entry["purpose"] == "content"))
    facts = json.dumps({"key": str(KEY), "secret_version": 1, "context_tag": key("tag")[:16].hex()}, separators=(",", ":"))
    nobody = {"actor_user": None, "actor_role": None}
    return [
        leaf("owner, content in one box, no cause", facts, [real]),
        leaf("content in three boxes, with a cause", facts, [real, b"\x02" * 80, b"\x03"], position=2, version=2,
             causation_id=CAUSE, actor_via="rest"),
        leaf("the same boxes cut elsewhere give another leaf", facts, [real + b"\x02", b"\x02" * 79, b"\x03"], position=2, version=2,
             causation_id=CAUSE, actor_via="rest"),
        leaf("no content, a timer's", f'{{"key":"{KEY}"}}', position=3, version=3, type="KeyExpired", actor_via="timer", **nobody),
        leaf("no owner: the installation's", '{"kek":"0011223344556677"}', position=4, stream="system", owner=None,
             type="KekRotated", actor_via="system", **nobody),
        leaf("a run's, by the engine, large numbers", '{"prev_d":4294967296}', [b"\x01"], position=2**40 + 1, stream=f"run/{RUN}",
             version=2**33, type="StepCompleted", schema=2, at=253_402_300_799_999, actor_via="engine", **nobody),
        leaf("an admin on another's account, from the command line", "{}", position=5, stream=f"account/{OWNER}",
             type="AccountDeactivated", actor_user=CAUSE, actor_role="admin", actor_via="cli"),
        leaf("an auditor; facts are bytes, spaces and all", '{ "b" : 1, "a" : "ü" }', position=6, stream=f"run-control/{RUN}",
             type="CancelRequested", actor_role="auditor"),
    ]


def leaves_2():
    """Version 2: every kind of credential, both new words for the face, and the events of version 1 again under the other tag."""
    real = bytes.fromhex(next(entry["box"] for entry in boxes() if entry["purpose"] == "content"))
    facts = json.dumps({"key": str(KEY), "secret_version": 1, "context_tag": key("tag")[:16].hex()}, separators=(",", ":"))
    nobody = {"actor_user": None, "actor_role": None}
    session = {"actor_credential_kind": "session", "actor_credential_id": SESSION}
    token = {"actor_credential_kind": "api_token", "actor_credential_id": TOKEN}
    return [
        leaf("a session, content in one box, no cause", facts, [real], 2, **session),
        leaf("the same event without a credential", facts, [real], 2),
        leaf("a session through the console", facts, [real], 2, actor_via="console", **session),
        leaf("an API token over REST, with a cause", facts, [real, b"\x02" * 80, b"\x03"], 2, position=2, version=2,
             causation_id=CAUSE, actor_via="rest", **token),
        leaf("an API token through the gateway, by an auditor", '{ "b" : 1, "a" : "ü" }', (), 2, position=6,
             stream=f"run-control/{RUN}", type="CancelRequested", actor_role="auditor", actor_via="gateway", **token),
        leaf("the operator, on the command line", "{}", (), 2, position=5, stream=f"account/{OWNER}", type="AccountDeactivated",
             actor_via="cli", actor_credential_kind="operator", **nobody),
        leaf("no owner: the operator on the installation", '{"kek":"0011223344556677"}', (), 2, position=4, stream="system",
             owner=None, type="KekRotated", actor_via="cli", actor_credential_kind="operator", **nobody),
        leaf("a timer's", f'{{"key":"{KEY}"}}', (), 2, position=3, version=3, type="KeyExpired", actor_via="timer",
             actor_credential_kind="timer", **nobody),
        leaf("a run's, by the engine, which has no credential; large numbers", '{"prev_d":4294967296}', [b"\x01"], 2,
             position=2**40 + 1, stream=f"run/{RUN}", version=2**33, type="StepCompleted", schema=2, at=253_402_300_799_999,
             actor_via="engine", **nobody),
    ]


def tree():
    made = [leaf_hash(lps("vector leaf", position)) for position in range(1, 10)]
    sizes = []
    for size in range(10):
        roots = frontier(made[:size])
        assert fold(roots) == tree_root(made[:size]) and len(roots) == size.bit_count()
        sizes.append({"size": size, "frontier": b"".join(roots).hex(), "root": fold(roots).hex()})
    return {"leaf_hashes": [one.hex() for one in made], "sizes": sizes}


def global_ids():
    names = ("User", "ApiKey", "Session", "Event", "Correlation", "Orchestration", "Step")
    return [{"type": name, "uuid": str(KEY), "id": b64(f"{name}:{KEY}".encode())} for name in names]


def cursors():
    out = [{"kind": 1, "position": at, "cursor": b64(b"\x01" + u64(at))} for at in (1, 300, 2**64 - 1)]
    at = 1_760_000_000_000
    out.append({"kind": 2, "created_at": at, "key_id": str(KEY), "cursor": b64(b"\x02" + u64(at) + KEY.bytes)})
    for v, d, i in ((4, 2, 1), (2**63, 0, 2**32 - 1)):
        place = RUN.bytes + u64(v) + u64(d) + u32(i)
        out.append({"kind": 3, "run_id": str(RUN), "v": v, "d": d, "i": i, "cursor": b64(b"\x03" + place)})
    out.append({"kind": 4, "created_at": at, "run_id": str(RUN), "cursor": b64(b"\x04" + u64(at) + RUN.bytes)})
    return out


def main():
    self_test()
    vectors = {
        "format": "ops/docs/FORMATS.md, version 1",
        "kek_ids": kek_ids(), "boxes": boxes(), "cut_content": cut_content(), "hashes": hashes(),
        "refresh_tokens": refresh_tokens(), "refresh_tokens_2": refresh_tokens_2(), "session_macs": session_macs(),
        "event_signatures": event_signatures(), "leaves": leaves(), "leaves_2": leaves_2(), "tree": tree(),
        "global_ids": global_ids(), "cursors": cursors(),
    }
    made = json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
    path = Path(__file__).with_name("vectors.json")
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.read_text() == made else "vectors.json differs from what vectors.py makes")
    path.write_text(made)


if __name__ == "__main__":
    main()
