//! A proxy before the server that changes what a store sends, so that a whole store behaves as a
//! broken one would. It decodes the body of each message; a store uses no other section for what is
//! changed here.

use super::proxy::message;
use crate::harness::mongo::TestServer;
use claviger_store::address::MongoUri;
use mongodb::bson::{Bson, Document, doc};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The wire protocol's code of a message with sections.
const OP_MSG: i32 = 2013;
/// The flag of a request that may have many replies: the driver's monitors, which send nothing that
/// is changed here.
const EXHAUST_ALLOWED: u32 = 1 << 16;
/// Flags and the kind of the first section, after the header.
const BODY_AT: usize = 21;
/// The server's code for a transaction that met another's write.
const WRITE_CONFLICT: i32 = 112;

/// A statement of a transaction: command and collection.
pub(super) type Statement = (&'static str, &'static str);

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// Nothing.
    Nothing,
    /// Statements leave their transaction: each counts at once, and there is nothing to commit or
    /// to abort.
    NoSession,
    /// Every other time, this statement is answered with a write conflict, and the server aborts
    /// its transaction. A whole store tries the transaction again.
    Conflict(Statement),
    /// The same, for a store that tries this statement alone again: it begins another transaction,
    /// in which the rest follows.
    RetryAlone(Statement),
    /// What is touched isn't changed by it.
    NoTouch,
}

/// The proxy. Its connections are cut when it is dropped.
pub(super) struct Rewriting {
    address: SocketAddr,
    shared: Arc<Shared>,
    _ends: DropGuard,
}

struct Shared {
    target: String,
    rewrite: Rewrite,
    /// How many statements were met or changed.
    rewritten: watch::Sender<usize>,
    /// How many write conflicts the server has answered.
    conflicts: watch::Sender<usize>,
    /// By how much the transactions of a session are further on at the server than the store knows,
    /// by the session's id.
    ahead: Mutex<HashMap<Vec<u8>, i64>>,
    ends: CancellationToken,
    tracker: TaskTracker,
}

impl Rewriting {
    /// Before the server of the tests.
    pub(super) async fn before(server: &TestServer, rewrite: Rewrite) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ends = CancellationToken::new();
        let shared = Arc::new(Shared {
            target: server.host(),
            rewrite,
            rewritten: watch::Sender::new(0),
            conflicts: watch::Sender::new(0),
            ahead: Mutex::default(),
            ends: ends.clone(),
            tracker: TaskTracker::new(),
        });
        let accepting = Arc::clone(&shared);
        shared.tracker.spawn(async move {
            while let Some(Ok((client, _))) =
                accepting.ends.run_until_cancelled(listener.accept()).await
            {
                let of = Arc::clone(&accepting);
                accepting
                    .tracker
                    .spawn(async move { of.ends.run_until_cancelled(of.serve(client)).await });
            }
        });
        Self { address, shared, _ends: ends.drop_guard() }
    }

    /// The address of a database of that server, through this proxy.
    pub(super) fn uri(&self, server: &TestServer, database: &str) -> MongoUri {
        server.uri_by(&self.address.to_string(), database).parse().unwrap()
    }

    /// How many statements were met or changed.
    pub(super) fn rewritten(&self) -> usize {
        *self.shared.rewritten.borrow()
    }

    /// Waits for this many more write conflicts.
    pub(super) async fn conflicts(&self, more: usize) {
        let mut conflicts = self.shared.conflicts.subscribe();
        let before = *conflicts.borrow();
        conflicts.wait_for(|met| *met >= before + more).await.unwrap();
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) {
        let Ok(mut server) = TcpStream::connect(&self.target).await else { return };
        while let Some(request) = message(&mut client).await {
            let reply = match Message::decode(&request) {
                Some(request) if request.flags() & EXHAUST_ALLOWED == 0 => {
                    self.answer(request, &mut server).await
                }
                Some(_) => {
                    if server.write_all(&request).await.is_ok() {
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                    return;
                }
                None => exchange(&mut server, &request).await,
            };
            let Some(reply) = reply else { return };
            if client.write_all(&reply).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, mut request: Message, server: &mut TcpStream) -> Option<Vec<u8>> {
        self.catch_up(&mut request.body);
        match self.rewrite {
            Rewrite::NoSession if request.in_transaction() => {
                self.met();
                if request.is("commitTransaction") || request.is("abortTransaction") {
                    return Some(request.answered(doc! { "ok": 1.0 }));
                }
                for field in ["lsid", "txnNumber", "startTransaction", "autocommit", "readConcern"]
                {
                    request.body.remove(field);
                }
            }
            Rewrite::Conflict(statement) if self.meets(&request, statement) => {
                abort(&request, server).await?;
                return Some(request.answered(doc! {
                    "ok": 0.0,
                    "errmsg": "a write conflict",
                    "code": WRITE_CONFLICT,
                    "codeName": "WriteConflict",
                    "errorLabels": ["TransientTransactionError"],
                }));
            }
            Rewrite::RetryAlone(statement) if self.meets(&request, statement) => {
                abort(&request, server).await?;
                self.begin_another(&mut request.body);
            }
            Rewrite::NoTouch => {
                if untouch(&mut request.body) {
                    self.met();
                    if request.body.get_array("updates").is_ok_and(Vec::is_empty) {
                        return Some(request.answered(doc! { "ok": 1.0, "n": 1, "nModified": 0 }));
                    }
                }
            }
            Rewrite::Nothing
            | Rewrite::NoSession
            | Rewrite::Conflict(_)
            | Rewrite::RetryAlone(_) => {}
        }
        let reply = exchange(server, &request.encode()).await?;
        if Message::decode(&reply).is_some_and(|reply| is_conflict(&reply.body)) {
            self.conflicts.send_modify(|met| *met += 1);
        }
        Some(reply)
    }

    fn met(&self) {
        self.rewritten.send_modify(|met| *met += 1);
    }

    /// Whether this is the statement, and its turn: the first time it is, the second it isn't.
    fn meets(&self, request: &Message, (command, collection): Statement) -> bool {
        let is_it = request.in_transaction()
            && request.body.get_str(command).is_ok_and(|named| named == collection);
        if is_it {
            self.met();
        }
        is_it && *self.rewritten.borrow() % 2 == 1
    }

    /// The number that a store gives a transaction becomes the server's.
    fn catch_up(&self, body: &mut Document) {
        let Some(ahead) =
            session_of(body).and_then(|session| self.ahead.lock().unwrap().get(&session).copied())
        else {
            return;
        };
        if let Some(Bson::Int64(number)) = body.get_mut("txnNumber") {
            *number += ahead;
        }
    }

    /// The statement begins the session's next transaction.
    fn begin_another(&self, body: &mut Document) {
        *self.ahead.lock().unwrap().entry(session_of(body).unwrap()).or_default() += 1;
        let number = body.get_i64("txnNumber").unwrap();
        body.extend(doc! { "txnNumber": number + 1, "startTransaction": true, "readConcern": { "level": "snapshot" } });
    }
}

/// Ends the transaction of a statement on the server.
async fn abort(of: &Message, server: &mut TcpStream) -> Option<()> {
    let mut body = doc! { "abortTransaction": 1 };
    for field in ["lsid", "txnNumber", "autocommit"] {
        body.insert(field, of.body.get(field)?.clone());
    }
    body.insert("$db", "admin");
    exchange(server, &Message { head: of.head.clone(), body, rest: Vec::new() }.encode())
        .await
        .map(drop)
}

/// What changes `touch` changes nothing; whether there was such a thing. A no-op is a conflict with
/// nobody on MongoDB; the test server takes it for a write where it comes as an `update`, so there
/// it isn't sent.
fn untouch(body: &mut Document) -> bool {
    if body.get_str("findAndModify").is_ok_and(|collection| collection == "log_head") {
        let change =
            body.get_document_mut("update").and_then(|update| update.get_document_mut("$inc"));
        return change.is_ok_and(|change| change.insert("touch", 0_i64).is_some());
    }
    if body.get_str("update").is_ok_and(|collection| collection == "user_keys") {
        let updates = body.get_array_mut("updates").unwrap();
        let before = updates.len();
        updates.retain(|update| {
            !is_mere_touch(update.as_document().unwrap().get_document("u").unwrap())
        });
        return updates.len() < before;
    }
    false
}

fn is_mere_touch(change: &Document) -> bool {
    change.len() == 1
        && change.get_document("$inc").is_ok_and(|change| change.contains_key("touch"))
}

fn session_of(body: &Document) -> Option<Vec<u8>> {
    let Bson::Binary(id) = body.get_document("lsid").ok()?.get("id")? else { return None };
    Some(id.bytes.clone())
}

fn is_conflict(reply: &Document) -> bool {
    let codes = reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    std::iter::once(reply)
        .chain(codes)
        .any(|error| error.get_i32("code").is_ok_and(|code| code == WRITE_CONFLICT))
}

/// Sends a request and gives its reply.
async fn exchange(server: &mut TcpStream, request: &[u8]) -> Option<Vec<u8>> {
    server.write_all(request).await.ok()?;
    message(server).await
}

/// A message of one section, and the bytes after it.
struct Message {
    /// Length, ids, code, flags, kind of section.
    head: Vec<u8>,
    body: Document,
    rest: Vec<u8>,
}

impl Message {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if number(12)? != OP_MSG || bytes[BODY_AT - 1] != 0 {
            return None;
        }
        let end = BODY_AT + usize::try_from(number(BODY_AT)?).unwrap();
        let body = Document::from_reader(&bytes[BODY_AT..end]).unwrap();
        Some(Self { head: bytes[..BODY_AT].to_vec(), body, rest: bytes[end..].to_vec() })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = [self.head.as_slice(), &self.body.to_vec().unwrap(), &self.rest].concat();
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    fn flags(&self) -> u32 {
        u32::from_le_bytes(self.head[16..20].try_into().unwrap())
    }

    fn is(&self, command: &str) -> bool {
        self.body.contains_key(command)
    }

    fn in_transaction(&self) -> bool {
        self.is("autocommit")
    }

    /// The reply to this request.
    fn answered(&self, body: Document) -> Vec<u8> {
        let mut head = self.head.clone();
        // The id of what it answers stands after its own; no flags.
        head.copy_within(4..8, 8);
        head[16..20].fill(0);
        Self { head, body, rest: Vec::new() }.encode()
    }
}
