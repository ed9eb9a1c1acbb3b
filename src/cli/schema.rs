//! `schema`: prints the GraphQL schema.

use super::{CliError, output};
use std::process::ExitCode;

#[expect(clippy::unnecessary_wraps, reason = "every command has this signature")]
pub(super) fn run() -> Result<ExitCode, CliError> {
    output::line(claviger_graphql::sdl().trim_end());
    Ok(ExitCode::SUCCESS)
}
