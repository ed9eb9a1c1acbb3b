//! A server in this process: the real layers around a schema that can do what tests need.

#![expect(clippy::unused_async, reason = "resolvers are asynchronous by the macro's contract")]

use crate::harness::client::{Answer, MODERN, http};
use async_graphql::{
    Context, EmptySubscription, Error, ErrorExtensions, Object, Request, Response, Scalar,
    ScalarType, Schema, Value,
};
use async_graphql::{InputObject, InputValueResult, ServerError};
use claviger::http::connection::server::{Drained, Server, ServerSettings};
use claviger::http::edge::envelope::{Edge, IdSource, wrap};
use claviger::http::edge::health;
use claviger::http::edge::health::{HealthProbe, HealthReport, HealthStatus};
use claviger::http::edge::renderers::Renderers;
use claviger::http::graphql::graphiql;
use claviger::http::graphql::problem;
use claviger::http::graphql::{
    Admission, EndpointSettings, Executor, GraphqlEndpoint, RequestContext,
};
use claviger::limits::{Memory, MemorySettings};
use claviger::system::metrics::Level;
use claviger_graphql::limits::Limits;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A request that waits, and the test that holds it.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) entered: Notify,
    pub(super) release: Notify,
}

/// What the schema did.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) mutations: AtomicUsize,
    pub(super) unhealthy: std::sync::atomic::AtomicBool,
}

struct Secret(String);

#[Scalar]
impl ScalarType for Secret {
    fn parse(value: Value) -> InputValueResult<Self> {
        // As the admission passes it, in memory that is wiped.
        if let Value::Binary(bytes) = value {
            Ok(Self(String::from_utf8(bytes.to_vec()).expect("it was text")))
        } else {
            Err(async_graphql::InputValueError::custom("not a secret"))
        }
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}

#[derive(InputObject)]
struct LoginInput {
    name: String,
    password: Secret,
}

struct Query;

#[Object]
impl Query {
    async fn hello(&self, name: Option<String>) -> String {
        format!("hello {}", name.as_deref().unwrap_or("you"))
    }

    async fn me(&self) -> Query {
        Query
    }

    async fn page(&self, first: Option<i32>) -> Vec<Query> {
        (0..first.unwrap_or(20)).map(|_| Query).collect()
    }

    async fn number(&self, n: i32) -> i32 {
        n
    }

    async fn length(&self, secret: Secret) -> usize {
        secret.0.len()
    }

    /// The context that the executor received, so that tests see it.
    async fn context(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        let context = ctx.data::<RequestContext>()?;
        Ok(format!(
            "{}|{}|{}|{}",
            context.token.as_ref().map_or("none", |token| token.expose()),
            std::net::Ipv6Addr::from(context.peer.network).to_canonical(),
            context.user_agent.as_deref().unwrap_or("none"),
            context.correlation_id,
        ))
    }

    async fn wait(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        let shared = ctx.data::<Arc<Shared>>()?;
        shared.gate.entered.notify_one();
        shared.gate.release.notified().await;
        Ok(true)
    }

    async fn typed(&self) -> Option<async_graphql::Result<bool>> {
        Some(Err(Error::new("the view stands at 3")
            .extend_with(|_, extensions| extensions.set("code", "VIEW_BEHIND"))))
    }

    async fn fault(&self) -> Option<async_graphql::Result<bool>> {
        Some(Err(Error::new("password of the database: swordfish")))
    }

    async fn required(&self) -> async_graphql::Result<bool> {
        Err(Error::new("password of the database: swordfish"))
    }

    async fn boom(&self) -> bool {
        std::iter::empty().next().expect("swordfish")
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn bump(&self, ctx: &Context<'_>) -> async_graphql::Result<usize> {
        Ok(ctx.data::<Arc<Shared>>()?.mutations.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn login(&self, input: LoginInput) -> String {
        format!("{} {}", input.name, input.password.0.len())
    }
}

type TestSchema = Schema<Query, Mutation, EmptySubscription>;

struct TestExecutor {
    schema: TestSchema,
    shared: Arc<Shared>,
}

fn failed(code: &str, message: &str) -> Response {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    Response::from_errors(vec![error])
}

impl Executor for TestExecutor {
    fn execute(&self, request: Request, context: RequestContext) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match context.token.as_ref().map(|token| token.expose().to_owned()).as_deref() {
                Some("bad") => failed("UNAUTHENTICATED", "the token is none of ours"),
                Some("store-down") => {
                    failed("STORE_UNAVAILABLE", "swordfish:27017 refused the connection")
                }
                _ => {
                    self.schema.execute(request.data(context).data(Arc::clone(&self.shared))).await
                }
            }
        })
    }
}

struct Probe(Arc<Shared>);

impl HealthProbe for Probe {
    fn probe(&self) -> BoxFuture<'_, HealthReport> {
        let database = if self.0.unhealthy.load(Ordering::SeqCst) {
            HealthStatus::Degraded
        } else {
            HealthStatus::Healthy
        };
        let version = BTreeMap::from([("claviger", "0.0.0".to_owned())]);
        Box::pin(async move {
            HealthReport {
                services: BTreeMap::from([("database", database)]),
                version,
                ..HealthReport::default()
            }
        })
    }
}

/// Ids that count, in the shape of `UUIDv7`.
fn counting_ids() -> IdSource {
    let next = AtomicU64::new(1);
    Arc::new(move || {
        uuid::Builder::from_unix_timestamp_millis(next.fetch_add(1, Ordering::SeqCst), &[7; 10])
            .into_uuid()
    })
}

#[derive(Default)]
pub(super) struct Options {
    pub(super) limits: Limits,
    pub(super) endpoint: EndpointSettings,
    pub(super) server: ServerSettings,
    pub(super) edge: Edge,
}

/// A running server.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) client: reqwest::Client,
    pub(super) shutdown: CancellationToken,
    ended: tokio::task::JoinHandle<Drained>,
}

impl Running {
    pub(super) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let shared = Arc::new(Shared::default());
        let schema =
            Schema::build(Query, Mutation, EmptySubscription).disable_suggestions().finish();
        let admission =
            Admission::new(&schema.sdl(), options.limits).expect("the schema's SDL is read");
        let executor = TestExecutor { schema, shared: Arc::clone(&shared) };
        let ids = counting_ids();
        let memory = MemorySettings { in_all: 64 * 1024 * 1024, of_one: 64 * 1024 * 1024 };
        let endpoint = GraphqlEndpoint::new(
            executor,
            Arc::new(admission),
            options.endpoint,
            Arc::clone(&ids),
            Memory::new(memory, Level::default()),
        );
        let faces = endpoint.into_router().merge(graphiql::router()).merge(health::router(
            Arc::new(Probe(Arc::clone(&shared))),
            Arc::new(|| time::OffsetDateTime::UNIX_EPOCH),
        ));
        let edge = Edge { renderers: Renderers::new(problem::render), ..options.edge };
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(localhost, options.server).await.expect("a free port");
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let ended = TaskTracker::new().spawn(server.run(wrap(faces, ids, edge), shutdown.clone()));
        Self { address, shared, client: http(), shutdown, ended }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks for the stop and waits for the end.
    pub(super) async fn stop(self) -> Drained {
        self.shutdown.cancel();
        self.ended.await.expect("the server doesn't panic")
    }

    pub(super) fn post(
        &self,
        media: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::RequestBuilder {
        self.client
            .post(self.url("/graphql"))
            .header("accept", media)
            .header("content-type", "application/json")
            .body(body)
    }

    /// Sends a query, accepting the modern media type.
    pub(super) async fn ask(&self, query: &str) -> Answer {
        self.ask_with(query, serde_json::json!({})).await
    }

    pub(super) async fn ask_with(&self, query: &str, variables: serde_json::Value) -> Answer {
        let body = serde_json::json!({ "query": query, "variables": variables }).to_string();
        Answer::of(self.post(MODERN, body)).await
    }
}

pub(super) const LEGACY: &str = "application/json";

impl Answer {
    /// A refusal before execution: its status and code, an id, and no data.
    pub(super) fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text);
        let json = self.json();
        assert!(json.get("data").is_none(), "{json}");
        assert!(
            Uuid::parse_str(json["errors"][0]["extensions"]["requestId"].as_str().expect("an id"))
                .is_ok()
        );
        assert!(Uuid::parse_str(self.header("x-request-id")).is_ok());
    }
}
