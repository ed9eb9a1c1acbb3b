//! The whole tour against a server that logs all it can.

use super::canaries::Needles;
use super::requests::Teller;
use super::tour;
use crate::harness::program::{Home, Ran, files};
use crate::harness::upstream::simulator;

/// Key files are where keys belong.
fn assert_no_secret_in_files(needles: &Needles, home: &Home, when: &str) {
    for (name, bytes) in files(&home.data()) {
        if !["master.key", "token.key"].contains(&name.as_str()) {
            needles.assert_none_in(&format!("{name} {when}"), &bytes);
        }
    }
}

async fn no_secret_comes_out(json_log: bool) {
    let (home, simulator) = (Home::new(), simulator().await);
    let traced = |command: &mut std::process::Command| {
        command.env("CLAVIGER_LOG", "trace").env("CLAVIGER_TEST_TIMEOUT_MS", "1500");
        if json_log {
            command.arg("--log-json");
        }
    };
    let mut server = home.serve_with(&simulator.base_url(), traced);
    let mut teller = Teller::new(server.url(), 1 + u64::from(json_log));
    if json_log {
        teller.speak_http2();
    }
    tour::sessions(&mut teller).await;
    tour::upstream(&mut teller, &simulator).await;
    tour::misplaced(&mut teller).await;
    tour::written(&mut teller).await;
    tour::malformed(&mut teller).await;

    let needles = teller.needles();
    assert_no_secret_in_files(&needles, &home, "while it is served");
    server.kill();
    assert_no_secret_in_files(&needles, &home, "after kill -9");
    let server = home.serve_with(&simulator.base_url(), traced);
    teller.move_to(server.url());
    tour::malformed(&mut teller).await;
    server.stop().await;
    let needles = teller.needles();
    assert_no_secret_in_files(&needles, &home, "after an orderly end");
    teller.assert_heard_nothing();
    let log = home.log();
    assert!(log.contains("request answered") && log.len() > 10_000, "the log is not at trace");
    needles.assert_none_in("the log", log.as_bytes());
    for arguments in [
        &["verify"][..],
        &["key", "list", "--user", "ada", "--json"],
        &["vault", "status"],
        &["verify", "--json"],
    ] {
        let mut command = home.command(arguments);
        command.env("CLAVIGER_LOG", "trace");
        let ran = Ran::of(command, b"");
        ran.assert_code(0);
        needles.assert_none_in(
            &format!("{arguments:?}"),
            format!("{}{}", ran.stdout, ran.stderr).as_bytes(),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_of_any_face_or_fault() {
    no_secret_comes_out(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_with_a_log_in_json() {
    no_secret_comes_out(true).await;
}
