//! A client of the earlier service.

use crate::harness::client::{Answer, http};
use crate::harness::process::Process;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Reply};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// A world with a server, and its address.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) server: Process,
}

impl Stage {
    pub(super) async fn open(kind: StoreKind) -> Self {
        println!("on {kind:?}");
        let world = World::open(kind).await;
        let router = r#"{"selected_agents":["s2"],"reasoning":"It knows."}"#;
        for _ in 0..4 {
            world.simulator().script().on_prompt("Route this.", Act::Reply(Reply::text(router)));
        }
        let server = world.serve().await;
        Self { world, server }
    }

    pub(super) fn guest(&self) -> Caller {
        Caller { http: http(), url: format!("http://{}", self.server.address()), token: None }
    }

    /// A user, with a default key.
    pub(super) async fn user(&self, name: &str) -> Caller {
        self.user_with(name, Scenario::Good).await
    }

    /// A user whose default key has this scenario, and no other.
    pub(super) async fn user_with(&self, name: &str, scenario: Scenario) -> Caller {
        let guest = self.guest();
        let answer = guest.post("/api/auth/register", &registration(name)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let user = guest.with(answer.json()["access_token"].as_str().unwrap());
        let added = json!({ "key_name": name, "api_key": key(scenario, 1), "is_default": true });
        let added = user.post("/api/anthropic-api-keys", &added).await;
        assert_eq!(added.status, 200, "{}", added.text);
        user
    }

    pub(super) async fn close(self) {
        self.server.stop().await;
        self.world.close().await;
    }
}

pub(super) fn registration(name: &str) -> Value {
    json!({
        "username": name, "email": format!("{name}@example.org"), "password": "a long password",
        "full_name": "Somebody",
    })
}

pub(super) fn key_of(name: &str, n: u64) -> Value {
    json!({ "key_name": name, "api_key": key(Scenario::Good, n), "is_default": true })
}

#[derive(Clone)]
pub(super) struct Caller {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Caller {
    pub(super) fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same user at another server.
    pub(super) fn at(&self, server: &Process) -> Self {
        Self { url: format!("http://{}", server.address()), ..self.clone() }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }
}

fn agent(name: &str, role: &str) -> Value {
    json!({ "name": name, "system_prompt": format!("You are {name}."), "role": role, "use_tools": false })
}

/// The recorded requests, by the name of their endpoint.
pub(super) fn requests() -> Vec<(&'static str, Value)> {
    let worker = |name| agent(name, "worker");
    vec![
        (
            "sequential",
            json!({ "task": "Count.", "agents": [worker("a"), worker("b")], "agent_sequence": ["a", "b"] }),
        ),
        (
            "debate",
            json!({ "topic": "Tabs?", "agents": [worker("x"), worker("y")], "participant_names": ["x", "y"], "rounds": 2 }),
        ),
        (
            "hierarchical",
            json!({
                "task": "Build it.", "manager": agent("m", "manager"),
                "workers": [worker("w1"), worker("w2")], "worker_names": ["w1", "w2"],
            }),
        ),
        (
            "parallel",
            json!({
                "task": "Look.", "agents": [worker("a"), worker("b")], "agent_names": ["a", "b"],
                "aggregator": worker("g"), "aggregator_name": "g",
            }),
        ),
        (
            "routing",
            json!({
                "task": "Route this.", "router": agent("r", "manager"),
                "specialists": [agent("s1", "specialist"), agent("s2", "specialist")],
                "specialist_names": ["s1", "s2"],
            }),
        ),
    ]
}
