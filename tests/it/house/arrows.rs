//! What the rooms of the package, and of the crates below `src/`, may import: all of it. Crates
//! have arrows of their own (`rooms.rs`), and the decisions behind this table stand in
//! `decisions.rs`.

use super::imports::{is_test, module_of, named_in};
use super::tree::rust_files;
use std::collections::BTreeSet;

/// A folder or file of sources, and the paths that it may name outside itself. A path allows
/// everything below it. The longest folder that matches a file decides.
struct Room {
    folder: &'static str,
    may: &'static [&'static str],
}

const fn room(folder: &'static str, may: &'static [&'static str]) -> Room {
    Room { folder, may }
}

const CLOCK: &str = "crate::system::environment";
const FAILURE: &str = "crate::system::failure";
const FILES: &str = "crate::system::files";
const METRICS: &str = "crate::system::metrics";
const APPLICATION: &str = "claviger_application";
const DOMAIN: &str = "claviger_domain";
pub(super) const PROJECTIONS: &str = "claviger_projections";
pub(super) const PORTS: &str = "claviger_projections::ports";
pub(super) const VAULT: &str = "claviger_vault";

const ROOMS: [Room; 35] = [
    room("src/main.rs", &["claviger::cli::main"]),
    room("src/lib.rs", &[]),
    room(
        "src/system",
        &[
            "crate::confined::has_call_filter",
            "crate::confined::has_landlock",
            DOMAIN,
            PORTS,
            VAULT,
        ],
    ),
    room("src/confined", &[]),
    room("src/sse", &[]),
    room("src/socket", &[DOMAIN]),
    room("src/limits", &[METRICS, APPLICATION, DOMAIN]),
    room("src/anthropic", &["crate::confined", "crate::sse::decode", DOMAIN]),
    room("src/simulator", &["crate::anthropic::models", DOMAIN]),
    room("src/keychain", &[CLOCK, FAILURE, DOMAIN, PORTS, "claviger_proof", VAULT]),
    room(
        "src/aggregates",
        &[
            "crate::keychain::Evidence",
            "crate::keychain::decode",
            FAILURE,
            DOMAIN,
            "claviger_projections::accounts",
            PORTS,
        ],
    ),
    room("src/views", &["crate::keychain", CLOCK, FAILURE, DOMAIN, PROJECTIONS, VAULT]),
    room(
        "src/credentials",
        &["crate::anthropic", CLOCK, APPLICATION, DOMAIN, "claviger_projections::keys"],
    ),
    room(
        "src/reads",
        &[
            "crate::aggregates::Aggregates",
            "crate::keychain",
            CLOCK,
            FAILURE,
            "crate::views::open_account",
            "crate::views::open_key",
            "crate::views::open_run",
            "crate::views::open_user_agent",
            APPLICATION,
            DOMAIN,
            PROJECTIONS,
            VAULT,
        ],
    ),
    room(
        "src/bus",
        &[
            "crate::aggregates",
            "crate::anthropic::probe",
            "crate::credentials",
            "crate::keychain",
            "crate::limits::CommandLimits",
            CLOCK,
            FAILURE,
            METRICS,
            "crate::views",
            APPLICATION,
            DOMAIN,
            "claviger_projections::accounts",
            "claviger_projections::keys",
            PORTS,
            VAULT,
        ],
    ),
    room(
        "src/auth",
        &[
            "crate::aggregates::Member",
            "crate::anthropic::client::is_this_machine",
            "crate::bus::AccountDone",
            "crate::bus::AccountRequest",
            "crate::bus::AdministrationRequest",
            "crate::bus::Bus",
            "crate::keychain::Keychain",
            "crate::keychain::RESET_HASH",
            "crate::limits::CommandLimit",
            "crate::limits::CommandLimits",
            "crate::limits::rate",
            "crate::reads::StoreReads",
            CLOCK,
            FAILURE,
            "crate::views::SESSION_MS",
            APPLICATION,
            DOMAIN,
            "claviger_projections::ports::Page",
            "claviger_projections::ports::SessionRow",
            "claviger_projections::ports::Store",
            VAULT,
        ],
    ),
    room(
        "src/live",
        &[
            "crate::auth",
            "crate::limits",
            "crate::reads",
            CLOCK,
            FAILURE,
            APPLICATION,
            DOMAIN,
            PROJECTIONS,
        ],
    ),
    room(
        "src/background",
        &[
            "crate::bus::Bus",
            CLOCK,
            FAILURE,
            METRICS,
            "crate::views::registry",
            DOMAIN,
            "claviger_projections::follower",
            PORTS,
        ],
    ),
    room(
        "src/engine",
        &[
            "crate::aggregates::Aggregates",
            "crate::anthropic",
            "crate::background::lease",
            "crate::bus::Bus",
            "crate::bus::WakeEngine",
            "crate::credentials",
            "crate::keychain",
            "crate::live::EventHub",
            "crate::live::RunHub",
            "crate::reads",
            CLOCK,
            FAILURE,
            METRICS,
            "crate::views::RunRows",
            "crate::views::read_open_run",
            APPLICATION,
            DOMAIN,
            PROJECTIONS,
            VAULT,
        ],
    ),
    room(
        "src/engine/decide",
        &[
            "crate::anthropic::prices::PriceTable",
            "crate::anthropic::prices::Terms",
            "crate::anthropic::stream::CallEnd",
            "crate::anthropic::stream::CallFailure",
            "crate::anthropic::stream::CallItem",
            "crate::anthropic::stream::MessageRequest",
            "crate::engine::queue::Rest",
            "crate::engine::queue::lane_of",
            "crate::engine::retry",
            DOMAIN,
            "claviger_projections::run_feed::DeltaItem",
            "claviger_vault::IndexKey",
        ],
    ),
    room(
        "src/audit",
        &["crate::bus::RECORD_MS", "crate::keychain", FAILURE, "crate::views", DOMAIN, PORTS],
    ),
    room(
        "src/audit/integrity.rs",
        &[
            "crate::audit::report",
            DOMAIN,
            "claviger_projections::ports::Head",
            "claviger_projections::ports::StoredEvent",
            "claviger_proof",
        ],
    ),
    room("src/http/mod.rs", &[]),
    room("src/http/connection", &[METRICS]),
    room(
        "src/http/edge",
        &[
            "crate::limits::Held",
            "crate::limits::NoRoom",
            "crate::limits::Payer",
            METRICS,
            "crate::system::panics",
            APPLICATION,
            DOMAIN,
        ],
    ),
    room(
        "src/http/graphql",
        &[
            "crate::auth::Auth",
            "crate::auth::Denied",
            "crate::auth::Grant",
            "crate::auth::Ticket",
            "crate::http::edge",
            "crate::limits::AtWork",
            "crate::limits::Full",
            "crate::limits::Held",
            "crate::limits::Memories",
            "crate::limits::Memory",
            "crate::limits::NoRoom",
            "crate::limits::Payer",
            "crate::limits::StreamSlot",
            "crate::limits::StreamSlots",
            "crate::live::End",
            "crate::live::Guard",
            "crate::live::LiveSettings",
            "crate::live::Watch",
            "crate::system::environment::Clock",
            "crate::system::panics",
            APPLICATION,
            DOMAIN,
            "claviger_graphql",
        ],
    ),
    room(
        "src/http/rest",
        &[
            "crate::auth::Denied",
            "crate::auth::Grant",
            "crate::http::edge",
            "crate::limits::AtWork",
            "crate::limits::Full",
            "crate::limits::Held",
            "crate::limits::Memory",
            "crate::limits::StreamSlot",
            "crate::limits::StreamSlots",
            "crate::limits::Working",
            "crate::live::Guard",
            "crate::live::Watch",
            APPLICATION,
            DOMAIN,
            "claviger_projections::keys::KeyView",
            "claviger_projections::ports::Page",
            "claviger_projections::run_feed",
            "claviger_projections::runs",
        ],
    ),
    room(
        "src/app",
        &[
            "crate::anthropic::proxy",
            "crate::auth",
            "crate::background",
            "crate::confined::ITSELF",
            "crate::credentials",
            "crate::http",
            "crate::keychain",
            "crate::limits::AtWork",
            "crate::limits::AtWorkSettings",
            "crate::limits::MemorySettings",
            "crate::live",
            FILES,
            DOMAIN,
            "claviger_graphql",
            PORTS,
            "claviger_store::address",
            VAULT,
        ],
    ),
    room(
        "src/app/max_plan.rs",
        &[
            "crate::anthropic",
            "crate::app::config::Config",
            "crate::engine::Operator",
            "crate::system::environment::Kernel",
        ],
    ),
    room(
        "src/app/opening.rs",
        &[
            "crate::anthropic::claude_program::MaxPlanError",
            "crate::anthropic::client::ClientError",
            "crate::anthropic::prices::PriceError",
            "crate::app",
            "crate::auth::JwksError",
            "crate::keychain",
            CLOCK,
            DOMAIN,
            PORTS,
            "claviger_store",
        ],
    ),
    room(
        "src/app/parts.rs",
        &[
            "crate::anthropic::probe",
            "crate::app",
            "crate::auth",
            "crate::bus",
            "crate::credentials::CredentialPolicy",
            "crate::limits",
            METRICS,
            APPLICATION,
            DOMAIN,
        ],
    ),
    room(
        "src/app/wiring.rs",
        &[
            "crate::aggregates",
            "crate::anthropic",
            "crate::app",
            "crate::auth",
            "crate::bus",
            "crate::credentials",
            "crate::engine",
            "crate::keychain",
            "crate::limits",
            "crate::live",
            "crate::reads",
            CLOCK,
            FAILURE,
            FILES,
            METRICS,
            APPLICATION,
            DOMAIN,
            PROJECTIONS,
            "claviger_store",
        ],
    ),
    room(
        "src/cli",
        &[
            "crate::anthropic::client::is_this_machine",
            "crate::app",
            "crate::audit::verify",
            "crate::auth::Registration",
            "crate::bus::Commands",
            "crate::confined::main",
            "crate::http::connection::server::ServerSettings",
            "crate::keychain",
            "crate::simulator",
            "crate::socket",
            "crate::sse::decode",
            "crate::system",
            "crate::views",
            APPLICATION,
            DOMAIN,
            "claviger_graphql::sdl",
            "claviger_projections::keys",
            PORTS,
        ],
    ),
    room("src/application/src", &[DOMAIN, PROJECTIONS]),
    room("src/store/src", &[DOMAIN, PORTS, "claviger_proof", VAULT]),
];

/// Whether a path of the tree, or of modules, is `whole` or below it.
pub(super) fn is_below(path: &str, whole: &str, separator: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// The room of a file.
fn room_of(path: &str) -> Option<&'static Room> {
    ROOMS
        .iter()
        .filter(|room| is_below(path, room.folder, "/"))
        .max_by_key(|room| room.folder.len())
}

/// The names of modules outside the file's own room. Names of other people's crates don't count.
fn foreign(room: &Room, path: &str, text: &str) -> BTreeSet<String> {
    let own = module_of(&format!("{}/mod.rs", room.folder.trim_end_matches(".rs"))).join("::");
    named_in(path, text)
        .into_iter()
        .filter(|name| {
            let of = name.split("::").next().unwrap_or_default();
            matches!(of, "crate" | "claviger") || of.starts_with("claviger_")
        })
        .filter(|name| !is_below(name, &own, "::"))
        .collect()
}

fn surplus(path: &str, text: &str) -> Vec<String> {
    let Some(room) = room_of(path) else { return vec![format!("{path} is in no room")] };
    foreign(room, path, text)
        .into_iter()
        .filter(|name| !room.may.iter().any(|may| is_below(name, may, "::")))
        .map(|name| format!("{path} names {name}"))
        .collect()
}

/// The files with arrows.
pub(super) fn sources() -> Vec<(String, String)> {
    let mut found = rust_files("src");
    found.extend(rust_files("domain/proof/src"));
    found.retain(|(path, _)| !is_test(path) && !path.contains("/tests/"));
    found
}

#[test]
fn a_room_imports_what_the_table_allows_and_nothing_else() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| path.starts_with("src/"))
        .flat_map(|(path, text)| surplus(path, text))
        .collect();
    assert!(found.is_empty(), "imports without an arrow: {found:#?}");
}

#[test]
fn an_import_that_the_table_lacks_is_found() {
    for (path, text) in [
        ("src/limits/rate.rs", "use crate::bus::Bus;"),
        ("src/sse/decode.rs", "use claviger_domain::id::UserId;"),
        ("src/http/edge/problem.rs", "use crate::http::graphql::Reply;"),
        ("src/http/connection/server.rs", "use super::super::edge::peer::Peer;"),
        ("src/app/lifecycle.rs", "use claviger_store::sqlite::SqliteStore;"),
        ("src/new_room/mod.rs", ""),
    ] {
        assert_eq!(surplus(path, text).len(), 1, "{path}: {text}");
    }
}

/// An arrow that nothing uses would allow an import that nobody has decided on.
#[test]
fn the_table_allows_no_import_that_no_file_has() {
    let mut unused: BTreeSet<(&str, &str)> =
        ROOMS.iter().flat_map(|room| room.may.iter().map(|may| (room.folder, *may))).collect();
    let mut empty: BTreeSet<&str> = ROOMS.iter().map(|room| room.folder).collect();
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        empty.remove(room.folder);
        for name in foreign(room, &path, &text) {
            unused.retain(|(folder, may)| *folder != room.folder || !is_below(&name, may, "::"));
        }
    }
    assert!(empty.is_empty(), "rooms without files: {empty:?}");
    assert!(unused.is_empty(), "arrows without imports: {unused:#?}");
}
