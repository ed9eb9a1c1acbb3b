//! `bench runs`.

use super::figures::{table, waits, warn_unoptimised};
use super::run::ground;
use crate::args::RunsArgs;
use crate::{RunBench, measure_runs};
use claviger::cli::{CliError, output};
use claviger::system::environment::Environment;
use std::path::PathBuf;
use std::time::Duration;

pub(super) async fn run(args: &RunsArgs, program: PathBuf, json: bool) -> Result<(), CliError> {
    warn_unoptimised();
    claviger::system::process::raise_open_files();
    let env = Environment::system();
    let dir = std::path::absolute(args.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    let bench = RunBench {
        program,
        parts: std::env::current_exe()?,
        dir: dir.clone(),
        name: format!("claviger-bench-{}", env.ids.next()),
        runs: args.runs.into(),
        streams: args.streams.into(),
        time: Duration::from_secs(args.seconds),
        kills: args.kills.into(),
    };
    let ground = ground(None, dir, &env);
    let measured =
        measure_runs(&*ground, &bench, &env, |what| tracing::info!(what, "measured")).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    let row =
        |what: &str, figure: String, goal: &str| vec![what.to_owned(), figure, goal.to_owned()];
    let rows = [
        row("one durable commit, p50 / p99 ms", waits(measured.commit), ""),
        row("run of three steps, p50 / p99 ms", waits(measured.three_steps), ""),
        row("  in commits, p50", format!("{:.1}", measured.three_steps_in_commits), "25"),
        row("first text at the upstream, p50 / p99 ms", waits(measured.direct_first_text), ""),
        row("first text at a subscriber, p50 / p99 ms", waits(measured.first_text), ""),
        row("  added, in commits, p50", format!("{:.1}", measured.added_in_commits), "10"),
        row("  added, p99 ms", format!("{:.1}", measured.added_p99_ms), "10"),
        row(
            &format!("text of {} runs at once, upstream to subscriber, p50 / p99 ms", args.streams),
            waits(measured.delay),
            "",
        ),
        row("  pieces", measured.pieces.to_string(), ""),
        row(
            "  memory of each run with its subscriber, KiB",
            format!("{:.0}", measured.kib_per_run),
            "",
        ),
        row(
            "from the start after kill -9 to the run going on, p50 / p99 ms",
            waits(measured.going_on),
            "1000",
        ),
    ];
    table(&["what", "figure", "at most"], &rows, args.markdown);
    Ok(())
}
