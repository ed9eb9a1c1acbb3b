//! `bench append`.

use super::figures::{markdown, parts, warn_unoptimised, whole};
use super::run::ground;
use crate::args::AppendArgs;
use crate::{AppendBench, CONTENT_BYTES, Measured, measure};
use claviger::cli::{CliError, output};
use claviger::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use std::time::Duration;

pub(super) async fn run(args: &AppendArgs, json: bool) -> Result<(), CliError> {
    warn_unoptimised();
    if args.processes > 1 && args.mongodb_uri.is_none() {
        let message = "an embedded store supports one process only: give --mongodb-uri, or leave out \
             --processes";
        return Err(CliError::new(ErrorCode::Validation, message));
    }
    let env = Environment::system();
    let ground = ground(
        args.mongodb_uri.as_ref(),
        args.dir.clone().unwrap_or_else(std::env::temp_dir),
        &env,
    );
    let bench = AppendBench {
        writers: args.writers.iter().map(|writers| usize::from(*writers)).collect(),
        time: Duration::from_millis(args.seconds * 1000),
        rounds: usize::from(args.rounds),
        processes: usize::from(args.processes),
    };
    let told = |round, writers| tracing::info!(round, writers, "measured");
    let measured = measure(&*ground, &bench, &env, told).await?;
    if json {
        output::json(&measured);
        return Ok(());
    }
    let (heading, rows) = table(&measured, args.processes > 1);
    if args.markdown {
        markdown(&heading, &rows);
    } else {
        output::table(&heading, &rows);
        output::line(&format!(
            "rates are appends per second, median of {} rounds (lowest to highest); an append is \
             one event with {CONTENT_BYTES} sealed bytes, one row of a view, one command record; \
             bare is the same rows in the same batches without any guarantee",
            args.rounds
        ));
    }
    Ok(())
}

/// Heading and rows, without the columns that would be empty.
fn table(measured: &[Measured], contended: bool) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let counted = measured.iter().any(|measured| measured.counter.is_some());
    let mut heading =
        vec!["writers", "appends/s", "batch mean / largest", "p50 / p99 ms", "bare/s", "ratio"];
    if contended {
        heading.push("conflicts");
    }
    if counted {
        heading.extend([
            "counter/s",
            "counter p50 / p99 ms",
            "counter conflicts",
            "store is times",
        ]);
    }
    let rows = measured.iter().map(|measured| {
        let mut row = vec![
            measured.writers.to_string(),
            whole(measured.appends_per_s),
            format!("{:.1} / {}", measured.mean_batch, measured.largest_batch),
            format!("{:.1} / {:.1}", measured.latency.p50_ms, measured.latency.p99_ms),
            whole(measured.bare_per_s),
            parts(measured.ratio),
        ];
        if contended {
            row.push(measured.conflicts.to_string());
        }
        if let Some(counter) = &measured.counter {
            row.push(whole(counter.appends_per_s));
            row.push(format!("{:.1} / {:.1}", counter.latency.p50_ms, counter.latency.p99_ms));
            row.push(counter.conflicts.to_string());
            row.push(format!("{:.1}", counter.store_is_times.median));
        }
        row
    });
    (heading, rows.collect())
}
