//! The operator's own credentials, and what Max Plan needs of the system.

use super::config::Config;
use crate::anthropic::claude_program::{
    ClaudeProgram, ClaudeProgramConfig, Guards, MaxPlanError, Wanted,
};
use crate::anthropic::report::Reports;
use crate::anthropic::stream::StreamLimits;
use crate::engine::Operator;
use crate::system::environment::Kernel;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Longest time for an answer of the program.
const PROGRAM_MAX: Duration = Duration::from_hours(1);

/// Most `claude` programs at once: each takes about 195 MB.
pub(super) const CLAUDE_PROGRAMS: usize = 4;

/// The operator's own credentials. `kernel` says what this system can enforce.
pub(super) fn operator_of(
    config: &Config,
    kernel: &dyn Kernel,
    tracker: &TaskTracker,
    reports: &Reports,
) -> Result<Operator, MaxPlanError> {
    let token = config.claude_token.clone().filter(|_| config.max_plan);
    let program = match token {
        None => None,
        Some(token) => {
            if !kernel.has_call_filter() {
                return Err(MaxPlanError::Unfiltered);
            }
            let program = found(&config.claude_bin, Path::new(&config.path))?;
            let private = [&config.master_keys_file, &config.token_key_file];
            let private: Vec<&Path> = private.iter().filter_map(|file| file.as_deref()).collect();
            let wanted = Wanted {
                user: config.max_plan_user,
                directory: config.max_plan_dir.as_deref(),
                data_dir: &config.data_dir,
                private: &private,
            };
            let (guards, config_dir) = Guards::choose(
                kernel.has_landlock(),
                &wanted,
                (&program, Path::new(&config.path)),
            )?;
            let program = ClaudeProgramConfig {
                launcher: config.launcher.clone(),
                program,
                token,
                config_dir,
                path: config.path.clone(),
                proxy: config.upstream_proxy.clone(),
                guards,
                at_once: CLAUDE_PROGRAMS,
                // The program isn't told how many tokens it may write.
                limits: StreamLimits { whole: PROGRAM_MAX, ..stream_limits(config) },
            };
            Some(ClaudeProgram::new(program, tracker.clone(), reports.clone()))
        }
    };
    Ok(Operator {
        anthropic_api_key: config.anthropic_api_key.clone(),
        claude_api_key: config.claude_api_key.clone(),
        program,
    })
}

/// Silence is what ends a call, before its answer as well as in the middle.
pub(super) fn stream_limits(config: &Config) -> StreamLimits {
    let idle = Duration::from_millis(config.calls.idle_ms);
    let whole = Duration::from_millis(config.calls.whole_ms);
    StreamLimits { first_byte: idle, idle, whole, ..StreamLimits::default() }
}

/// The program as an absolute path: what is executed must not depend on a later working directory
/// or search. Without one every run of Max Plan would fail, so there is no server then either.
fn found(program: &Path, path: &Path) -> Result<PathBuf, MaxPlanError> {
    let missing = |found| MaxPlanError::NoProgram { program: program.display().to_string(), found };
    if program.components().count() > 1 || program.is_absolute() {
        let absolute = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
        return match std::fs::metadata(&absolute) {
            Err(_) => Err(missing("is not there, or not for this server's user to see")),
            Ok(file) if !is_program(&file) => Err(missing("is no file that may be executed")),
            Ok(_) => Ok(absolute),
        };
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|program| std::fs::metadata(program).is_ok_and(|file| is_program(&file)))
        .ok_or_else(|| missing("is in no directory of this server's PATH"))
}

fn is_program(file: &Metadata) -> bool {
    file.is_file() && file.permissions().mode() & 0o111 != 0
}
