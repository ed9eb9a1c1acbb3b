//! Which crate may depend on what (`ops/docs/ARCHITECTURE.md`). The modules of the package have
//! their own table, in `arrows.rs`.

use super::tree::{root, rust_files};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeMap;

/// The direct normal dependencies of each crate, all of them: a new one is a decision, made here
/// and in an ADR.
const ROOMS: [(&str, &[&str]); 8] = [
    (
        "claviger-domain",
        &["cqrs-es", "serde", "serde_json", "thiserror", "time", "uuid", "zeroize"],
    ),
    (
        "claviger-vault",
        &[
            "chacha20poly1305",
            "claviger-domain",
            "hkdf",
            "hmac",
            "sha2",
            "subtle",
            "thiserror",
            "uuid",
            "zeroize",
        ],
    ),
    ("claviger-proof", &["claviger-domain", "sha2"]),
    (
        "claviger-store",
        &[
            "claviger-domain",
            "claviger-projections",
            "claviger-proof",
            "claviger-vault",
            "futures",
            "mongodb",
            "rusqlite",
            "rustix",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-util",
            "tracing",
            "uuid",
        ],
    ),
    (
        "claviger-suite",
        &["claviger-domain", "claviger-projections", "futures", "serde_json", "sha2", "uuid"],
    ),
    (
        "claviger-projections",
        &[
            "claviger-domain",
            "futures",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "uuid",
        ],
    ),
    (
        "claviger-application",
        &["base64", "claviger-domain", "claviger-projections", "futures", "serde_json", "uuid"],
    ),
    (
        "claviger-graphql",
        &[
            "async-graphql",
            "async-graphql-parser",
            "async-graphql-value",
            "base64",
            "claviger-application",
            "claviger-domain",
            "claviger-projections",
            "futures",
            "serde",
            "serde_json",
            "thiserror",
            "time",
            "uuid",
        ],
    ),
];

fn rooms() -> BTreeMap<String, Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let normal = |package: cargo_metadata::Package| {
        let dependencies = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal);
        let mut names: Vec<String> =
            dependencies.map(|dependency| dependency.name.clone()).collect();
        names.sort();
        (package.name.to_string(), names)
    };
    metadata.packages.into_iter().map(normal).collect()
}

#[test]
fn a_crate_depends_on_what_its_arrows_allow_and_nothing_else() {
    let found = rooms();
    for (room, allowed) in ROOMS {
        let dependencies =
            found.get(room).unwrap_or_else(|| panic!("the crate {room} does not exist"));
        let surplus: Vec<_> =
            dependencies.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(surplus.is_empty(), "{room} may not depend on {surplus:?}");
    }
    let known: Vec<_> =
        ROOMS.iter().map(|(room, _)| *room).chain(["claviger", "claviger-bench"]).collect();
    let unknown: Vec<_> = found.keys().filter(|room| !known.contains(&room.as_str())).collect();
    assert!(unknown.is_empty(), "rooms without arrows: {unknown:?}");
}

#[test]
fn projections_use_tokio_to_wake_waiters_only() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let projections = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "claviger-projections")
        .expect("the room");
    let tokio = projections
        .dependencies
        .iter()
        .find(|dependency| dependency.name == "tokio")
        .expect("its dependency");
    assert_eq!(
        (tokio.features.as_slice(), tokio.uses_default_features),
        (["sync".to_owned()].as_slice(), false)
    );
}

/// The effects that must come in through a port or an argument. Clippy's `disallowed_methods`
/// enforces the same with types; this also holds where a room forgets the lint.
#[test]
fn the_pure_rooms_touch_neither_clock_nor_environment_nor_files() {
    for room in
        ["domain/src", "domain/vault/src", "domain/proof/src", "src/application/src", "graphql/src"]
    {
        for (path, text) in
            rust_files(room).into_iter().filter(|(path, _)| !path.ends_with("/tests.rs"))
        {
            for effect in [
                "SystemTime::now",
                "Instant::now",
                "now_utc()",
                "now_v7()",
                "std::env",
                "std::fs",
                "std::net",
                "std::thread",
            ] {
                assert!(
                    !super::tree::without_tests(&text).contains(effect),
                    "{path} uses {effect}"
                );
            }
        }
    }
}
