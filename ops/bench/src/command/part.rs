//! `bench part`, for internal use: runs a baseline in a process of its own.

use crate::args::{Part, PartArgs};
use crate::{SqliteRows, serve_bare_feed, serve_bare_keys, serve_nothing, serve_upstream};
use claviger::app::config::{Config, Settings};
use claviger::app::key_files;
use claviger::cli::{CliError, output};
use claviger::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

pub(super) async fn run(args: &PartArgs) -> Result<(), CliError> {
    claviger::system::process::raise_open_files();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let says = || output::line(&format!("a baseline listens on http://{address}"));
    match args.part {
        Part::Feed => {
            says();
            serve_bare_feed(listener).await?;
        }
        Part::Nothing => {
            says();
            serve_nothing(listener).await?;
        }
        Part::Upstream => {
            says();
            serve_upstream(listener).await?;
        }
        Part::Keys => {
            let env = Environment::system();
            let data_dir = args.data_dir.clone().ok_or_else(|| {
                CliError::new(ErrorCode::Validation, "give the measured server's --data-dir")
            })?;
            let rows = Arc::new(SqliteRows::open(&data_dir)?);
            let settings = Settings { data_dir: Some(data_dir), ..Settings::default() };
            let config = Config::load(settings)?;
            let key = key_files::token_key(&config, false, &*env.entropy)?;
            says();
            serve_bare_keys(listener, rows, key, env.clock).await?;
        }
    }
    Ok(())
}
