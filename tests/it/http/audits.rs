//! The audits of graphql-http, where Node and the packages are there.

use super::fixture::Running;
use std::path::Path;
use std::process::Command;

#[tokio::test]
async fn all_audits_of_graphql_http_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/graphql-http");
    if !folder.join("node_modules/graphql-http").is_dir() {
        println!("skipped: run `npm ci` in ops/graphql-http first");
        return;
    }
    let server = Running::start().await;
    let mut audit = Command::new("node");
    audit.arg("audit.mjs").arg(server.url("/graphql")).current_dir(folder);
    let ran = tokio::task::spawn_blocking(move || audit.output()).await.expect("no panic");
    let Ok(output) = ran else {
        println!("skipped: there is no node");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("61 passed, 0 failed"), "{said}");
}
