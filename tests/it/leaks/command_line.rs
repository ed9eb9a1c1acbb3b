//! Secrets through the command line: standard input, where they belong, and arguments and
//! variables, where they don't.

use super::canaries::{Needles, api_key, random};
use crate::harness::dice::Dice;
use crate::harness::program::{Home, Ran, files};
use crate::harness::upstream::simulator;
use claviger::simulator::keys::Scenario;
use claviger::simulator::script::Act;

fn traced(home: &Home, arguments: &[&str], stdin: &str) -> Ran {
    let mut command = home.command(arguments);
    command.env("CLAVIGER_LOG", "trace");
    Ran::of(command, stdin.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_of_the_command_line() {
    let (home, simulator, mut dice) = (Home::new(), simulator().await, Dice::new(11));
    let (password, wrong) =
        (random(&mut dice, 24), format!("sk-ant-sid01-{}", random(&mut dice, 60)));
    let (key, echo, loose) = (api_key(&mut dice), api_key(&mut dice), api_key(&mut dice));
    for _ in 0..4 {
        simulator.script().push(&echo, Act::Scenario(Scenario::Echo));
    }
    let url = simulator.base_url();
    let add = ["key", "add", "--user", "ada", "--name"];
    let mut said = Vec::new();
    let mut run = |code: i32, arguments: &[&str], stdin: &str| {
        let ran = traced(&home, arguments, stdin);
        ran.assert_code(code);
        said.push(format!("{}{}", ran.stdout, ran.stderr));
    };
    run(0, &["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"], &password);
    run(15, &["user", "add", "ada", "--email", "ada@example.org", "--password-stdin"], &password);
    run(13, &["user", "add", &loose, "--email", "x@example.org", "--password-stdin"], &password);
    run(0, &[&add[..], &["work"]].concat(), &key);
    run(15, &[&add[..], &["work", "--json"]].concat(), &key);
    run(0, &[&add[..], &["echo"]].concat(), &echo);
    run(13, &[&add[..], &["wrong"]].concat(), &wrong);
    run(13, &[&add[..], &[loose.as_str()]].concat(), &loose);
    run(13, &[&add[..], &["n", "--context", &loose]].concat(), &loose);
    run(20, &["key", "test", "--user", "ada", "echo", "--anthropic-base-url", &url], "");
    run(20, &["key", "test", "--user", "ada", "echo", "--json", "--anthropic-base-url", &url], "");
    run(0, &["key", "list", "--user", "ada"], "");
    run(0, &["key", "list", "--user", "ada", "--json"], "");
    run(12, &["key", "default", "--user", "ada", &loose], "");
    run(12, &["key", "list", "--user", &loose], "");
    run(2, &[&add[..], &["n", loose.as_str()]].concat(), "");
    run(2, &["serve", "--listen", &loose], "");
    run(2, &["serve", &format!("--{loose}")], "");
    run(2, &[&loose], "");
    run(0, &["vault", "status", "--json"], "");
    run(0, &["verify"], "");
    let needles = Needles::of([&password, &wrong, &key, &echo, &loose]);
    for text in said {
        needles.assert_none_in("the output of a command", text.as_bytes());
    }
    for (name, bytes) in files(&home.data()) {
        needles.assert_none_in(&name, &bytes);
    }
    assert!(simulator.counts().of_key(&echo) > 0);
}

#[test]
fn a_secret_in_a_variable_of_another_kind_is_not_repeated() {
    let (home, mut dice) = (Home::new(), Dice::new(12));
    let key = api_key(&mut dice);
    let needles = Needles::of([&key]);
    for (command, variable) in [
        (&["serve"][..], "CLAVIGER_LISTEN"),
        (&["serve"], "CLAVIGER_MAX_KEYS"),
        (&["vault", "status"], "CLAVIGER_MASTER_KEYS"),
        (&["vault", "status"], "CLAVIGER_TOKEN_KEY"),
        (&["serve"], "CLAVIGER_MODEL"),
        (&["serve"], "CLAVIGER_ANTHROPIC_BASE_URL"),
    ] {
        let mut command = home.command(command);
        command.env(variable, &key).env("CLAVIGER_LOG", "trace");
        let ran = Ran::of(command, b"");
        assert_ne!(ran.code, Some(0), "{variable} {ran:?}");
        needles.assert_none_in(variable, format!("{}{}", ran.stdout, ran.stderr).as_bytes());
    }
    for address in [format!("http://user:{key}@:0"), format!("http://user:{key}@127.0.0.1:1/x?y")] {
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("CLAVIGER_UPSTREAM_PROXY", &address);
        let ran = Ran::of(command, b"");
        ran.assert_refused(13, &["upstream_proxy", "http://host:port"]);
        needles.assert_none_in("a proxy", format!("{}{}", ran.stdout, ran.stderr).as_bytes());
    }
}
