//! The decisions about imports, by name, each with imports that would break it. The table in
//! `arrows.rs` is as narrow or narrower; here loosening it is noticed.

use super::arrows::{PORTS, PROJECTIONS, VAULT, is_below, sources};
use super::imports::{is_test, named_in};

/// A decision: files below `folders` name nothing below `never`, except `but` (with the reason).
/// `broken` are imports that it forbids.
struct Arrow {
    name: &'static str,
    folders: &'static [&'static str],
    never: &'static [&'static str],
    but: &'static [(&'static str, &'static str)],
    broken: &'static [(&'static str, &'static str)],
}

const ARROWS: [Arrow; 9] = [
    Arrow {
        name: "commands never import a face",
        folders: &["src/bus", "src/aggregates", "src/application/src", "src/limits"],
        never: &["crate::http", "crate::cli", "claviger_graphql", "async_graphql", "axum", "clap"],
        but: &[],
        broken: &[
            ("src/bus/keys.rs", "use crate::http::edge::problem::Problem;"),
            ("src/bus/runs.rs", "fn f() { crate::cli::output::line(\"\") }"),
            ("src/application/src/command.rs", "use claviger_graphql::build;"),
        ],
    },
    Arrow {
        name: "stores never import bench or audit",
        folders: &["src/store/src"],
        never: &["claviger", "claviger_bench", "claviger_suite"],
        but: &[],
        broken: &[
            ("src/store/src/sqlite/store.rs", "use claviger::audit::verify::verify;"),
            ("src/store/src/mongo/store.rs", "use claviger_bench::trial::Trial;"),
        ],
    },
    Arrow {
        name: "reads never import the command bus",
        folders: &["src/reads", "src/views", "src/credentials"],
        never: &["crate::bus"],
        but: &[],
        broken: &[
            ("src/reads/views.rs", "use crate::{bus::Bus, views::open_key};"),
            ("src/credentials/resolution.rs", "use super::super::bus::Bus;"),
        ],
    },
    Arrow {
        name: "auth reads views through reads",
        folders: &["src/auth"],
        never: &["crate::bus", "crate::views", PROJECTIONS],
        but: &[
            ("crate::bus::AccountDone", "what a command on an account led to"),
            ("crate::bus::AccountRequest", "a command on an account"),
            ("crate::bus::AdministrationRequest", "one of an administrator"),
            ("crate::bus::Bus", "executes it"),
            ("crate::views::SESSION_MS", "a session's lifetime, which its row and its token share"),
            ("claviger_projections::accounts::AccountView", "what reads return"),
            ("claviger_projections::ports::Page", "the page of a list, handed on to reads"),
            ("claviger_projections::ports::SessionRow", "what the store returns of a session"),
            (
                "claviger_projections::ports::Store",
                "sessions are read where they are committed: a revoked one must not pass for a moment",
            ),
        ],
        broken: &[
            ("src/auth/grants.rs", "use crate::views::open_account;"),
            ("src/auth/accounts.rs", "use crate::bus::{Bus, Commands};"),
            ("src/auth/accounts.rs", "use claviger_projections::ports::{ACCOUNTS, Store};"),
        ],
    },
    Arrow {
        name: "proofs and the integrity of the log import no store",
        folders: &["domain/proof/src", "src/audit/integrity.rs"],
        never: &["crate", "claviger_store", PROJECTIONS, VAULT, "async", "tokio", "std::fs"],
        but: &[
            ("crate::audit::report", "collects what is found"),
            ("claviger_projections::ports::Head", "the head that the log must end with"),
            ("claviger_projections::ports::StoredEvent", "an event as it is stored"),
        ],
        broken: &[
            ("domain/proof/src/tree.rs", "use claviger_store::sqlite::SqliteStore;"),
            ("src/audit/integrity.rs", "use claviger_projections::ports::{Head, Store};"),
            ("src/audit/integrity.rs", "use crate::keychain::Keychain;"),
        ],
    },
    Arrow {
        name: "a face imports the application, the edge and its own folder",
        folders: &["src/http/graphql"],
        never: &["crate", "claviger", "claviger_store", PROJECTIONS, VAULT],
        but: &[
            ("crate::http::graphql", "its own folder"),
            ("crate::http::edge", "what all faces share"),
            ("crate::auth::Auth", "the wiring hands it in: it verifies tokens"),
            ("crate::auth::Denied", "why it refused one"),
            ("crate::auth::Grant", "the rights of a stream, until they expire"),
            ("crate::auth::Ticket", "names one stream of a browser, across reconnections"),
            ("crate::limits::AtWork", "the wiring hands it in: the requests of each user"),
            ("crate::limits::Full", "why no slot is free"),
            ("crate::limits::Held", "memory that is held as long as what it is for"),
            ("crate::limits::Memories", "the wiring hands them in: what a process may hold"),
            ("crate::limits::Memory", "the same for requests"),
            ("crate::limits::NoRoom", "why nothing more is held"),
            ("crate::limits::Payer", "for whom memory is held"),
            ("crate::limits::StreamSlot", "held as long as a stream lives"),
            ("crate::limits::StreamSlots", "all slots of the process"),
            ("crate::live::End", "why a stream must end"),
            ("crate::live::Guard", "ends a stream whose rights end"),
            ("crate::live::LiveSettings", "the configuration's bounds of streams"),
            ("crate::live::Watch", "the wiring hands it in: it makes guards"),
            ("crate::system::environment::Clock", "the wiring hands it in, for the health page"),
            ("crate::system::panics", "a panic of one operation must not end its batch"),
        ],
        broken: &[
            ("src/http/graphql/endpoint.rs", "use crate::bus::Bus;"),
            ("src/http/graphql/executor.rs", "use crate::reads::StoreReads;"),
            ("src/http/graphql/ws/socket.rs", "use crate::auth::{Auth, Passwords};"),
            ("src/http/graphql/reply.rs", "use super::super::connection::server::Server;"),
            ("src/http/graphql/sse/pump.rs", "use claviger_projections::ports::Store;"),
        ],
    },
    Arrow {
        name: "the REST face imports the application, the edge, its own folder and what reads return",
        folders: &["src/http/rest"],
        never: &["crate", "claviger", "claviger_graphql", "claviger_store", PROJECTIONS, VAULT],
        but: &[
            ("crate::http::rest", "its own folder"),
            ("crate::http::edge", "what all faces share"),
            ("crate::auth::Auth", "the wiring hands it in: it verifies tokens"),
            ("crate::auth::Denied", "why it refused one"),
            ("crate::auth::Grant", "the rights of a stream, until they expire"),
            ("crate::limits::AtWork", "the wiring hands it in: the requests of each user"),
            ("crate::limits::Full", "why no slot is free"),
            ("crate::limits::Held", "memory that is held as long as what it is for"),
            ("crate::limits::Memory", "the wiring hands it in: what requests may hold"),
            ("crate::limits::StreamSlot", "held as long as a stream lives"),
            ("crate::limits::StreamSlots", "all slots of the process"),
            ("crate::limits::Working", "a user's place among the requests at work"),
            ("crate::live::Guard", "ends a stream whose rights end"),
            ("crate::live::Watch", "the wiring hands it in: it makes guards"),
            ("crate::system::environment::Clock", "the wiring hands it in, for times of texts"),
            ("claviger_projections::keys::KeyView", "what reads return of a key"),
            ("claviger_projections::ports::Page", "the page of a list, handed on to reads"),
            ("claviger_projections::run_feed", "what feeds of runs return"),
            ("claviger_projections::runs", "what reads return of runs"),
        ],
        broken: &[
            ("src/http/rest/keys.rs", "use crate::bus::Bus;"),
            ("src/http/rest/runs.rs", "use crate::reads::StoreReads;"),
            ("src/http/rest/stream.rs", "use crate::http::graphql::streams::LiveFace;"),
            ("src/http/rest/usage.rs", "use claviger_projections::ports::Store;"),
            ("src/http/rest/runs.rs", "use claviger_graphql::sdl;"),
        ],
    },
    Arrow {
        name: "only the wiring and the opening of a store name a concrete one",
        folders: &["src"],
        never: &["claviger_store"],
        but: &[("claviger_store::address", "an address opens nothing")],
        broken: &[
            ("src/app/config.rs", "use claviger_store::mongo::MongoConfig;"),
            ("src/cli/verify.rs", "fn f() { claviger_store::sqlite::SqliteStore::open() }"),
            ("src/reads/mod.rs", "use claviger_store as quiet;"),
            ("src/bus/mod.rs", "use claviger_store::{address::MongoUri, mongo::MongoStore};"),
        ],
    },
    Arrow {
        name: "decisions of the engine do no IO",
        folders: &["src/engine/decide"],
        never: &[
            "crate::anthropic::client",
            "crate::bus",
            "crate::keychain",
            "crate::reads",
            "crate::system",
            PORTS,
            "claviger_store",
            "async",
            "futures",
            "reqwest",
            "std::env",
            "std::fs",
            "std::io",
            "std::net",
            "std::process",
            "std::sync",
            "std::thread",
            "std::time",
            "tokio",
            "tracing",
        ],
        but: &[("std::sync::Arc", "shares text without copying it")],
        broken: &[
            ("src/engine/decide/next.rs", "use claviger_projections::ports::Store;"),
            ("src/engine/decide/turn.rs", "fn f() { tokio::spawn(g()); }"),
            ("src/engine/decide/claim.rs", "use std::{fs, sync::Arc};"),
            ("src/engine/decide/state.rs", "pub(super) async fn f() {}"),
            ("src/engine/decide/receive.rs", "use crate::system::environment::Clock;"),
        ],
    },
];

/// Files that an arrow over all of `src/` doesn't bind: the wiring, and the store itself.
fn is_exempt(arrow: &Arrow, path: &str) -> bool {
    let names_stores = ["src/app/opening.rs", "src/app/wiring.rs"].contains(&path);
    arrow.folders == ["src"] && (names_stores || path.starts_with("src/store/"))
}

impl Arrow {
    fn violations(&self, path: &str, text: &str) -> Vec<String> {
        let is_bound = self.folders.iter().any(|folder| is_below(path, folder, "/"));
        if !is_bound || is_exempt(self, path) || is_test(path) {
            return Vec::new();
        }
        let below = |name: &str, whole: &str| is_below(name, whole, "::");
        named_in(path, text)
            .into_iter()
            .filter(|name| self.never.iter().any(|never| below(name, never)))
            .filter(|name| !self.but.iter().any(|(but, _)| below(name, but)))
            .map(|name| format!("{path} names {name}"))
            .collect()
    }
}

#[test]
fn every_decision_about_imports_holds() {
    let files = sources();
    for arrow in &ARROWS {
        let found: Vec<_> =
            files.iter().flat_map(|(path, text)| arrow.violations(path, text)).collect();
        assert!(found.is_empty(), "{}: {found:#?}", arrow.name);
    }
}

#[test]
fn an_import_that_breaks_a_decision_is_found() {
    for arrow in &ARROWS {
        for (path, text) in arrow.broken {
            assert_eq!(arrow.violations(path, text).len(), 1, "{}: {text}", arrow.name);
        }
    }
}
