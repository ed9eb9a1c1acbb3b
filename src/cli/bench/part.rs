//! `bench part`, for internal use: runs a baseline in a process of its own.

use crate::bench::{serve_bare_feed, serve_bare_keys, serve_nothing, serve_upstream};
use crate::cli::args::{BenchPart, BenchPartArgs};
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::effects::Effects;
use crate::{key_files, wiring};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

pub(super) async fn run(args: &BenchPartArgs, config: &Config) -> Result<(), CliError> {
    crate::open_files::raise();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let says = || output::line(&format!("a baseline listens on http://{address}"));
    match args.part {
        BenchPart::Feed => {
            says();
            serve_bare_feed(listener).await?;
        }
        BenchPart::Nothing => {
            says();
            serve_nothing(listener).await?;
        }
        BenchPart::Upstream => {
            says();
            serve_upstream(listener).await?;
        }
        BenchPart::Keys => {
            let effects = Effects::system();
            let rows = wiring::bench_rows(config)?;
            let key = key_files::token_key(config, &*effects.entropy)?;
            says();
            serve_bare_keys(listener, rows, key, effects.clock).await?;
        }
    }
    Ok(())
}
