//! The whole command line: [`Arguments`], and at each command the settings that it reads.

use super::args::Arguments;
use crate::app::config::{FILE_VARIABLE, SETTINGS, Setting, Settings, file_argument};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use std::ffi::OsString;

/// The demo serves with most settings of `serve`; its help names these, for the rest is of no use
/// to a newcomer.
const IN_HELP_OF_DEMO: [&str; 2] = ["listen", "metrics_listen"];

/// What was typed, and the settings for it.
pub(super) struct Typed {
    pub(super) arguments: Arguments,
    /// The command as in [`Setting::readers`], such as `key test`.
    pub(super) command: String,
    pub(super) settings: Settings,
}

/// Reads a command line and the variables of the settings that its command reads.
pub(super) fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let mut program = with_settings(Arguments::command(), "");
    let matches = program.try_get_matches_from_mut(typed)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    let (levels, command) = levels(&matches);
    refuse_unread(&mut program, &levels, &command)?;
    Ok(Typed { arguments, settings: Settings::of(&levels), command })
}

/// Gives a command and those below it their settings. A command that has commands below it takes
/// their settings too, before the name, but reads no variable and doesn't show them.
fn with_settings(mut command: Command, path: &str) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in &names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |below| with_settings(below, &path));
    }
    let is_shown =
        |name: &str| names.is_empty() && (path != "demo" || IN_HELP_OF_DEMO.contains(&name));
    let read: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.is_read_by(path)).collect();
    // `run` is a client: it has a setting, but no file.
    if read.iter().any(|setting| setting.name != "model") {
        command = command.arg(with_variable(file_argument(), FILE_VARIABLE, names.is_empty()));
    }
    command.args(read.into_iter().map(|setting| {
        let argument = with_variable(setting.argument(), setting.variable, names.is_empty());
        argument.hide(!is_shown(setting.name))
    }))
}

fn with_variable(argument: Arg, variable: &'static str, is_read: bool) -> Arg {
    if is_read { argument.env(variable).hide_env_values(true) } else { argument.hide(true) }
}

/// The matches of the program, of its command, and so on; and the command's name.
fn levels(matches: &ArgMatches) -> (Vec<&ArgMatches>, String) {
    let (mut levels, mut names, mut level) = (vec![matches], Vec::new(), matches);
    while let Some((name, below)) = level.subcommand() {
        levels.push(below);
        names.push(name);
        level = below;
    }
    (levels, names.join(" "))
}

/// A setting before a command that doesn't read it is wrong usage, as it is after it.
fn refuse_unread(
    program: &mut Command,
    levels: &[&ArgMatches],
    command: &str,
) -> Result<(), clap::Error> {
    let is_given = |setting: &&Setting| {
        levels.iter().any(|level| level.try_contains_id(setting.name).is_ok_and(|given| given))
    };
    match SETTINGS.iter().filter(is_given).find(|setting| !setting.is_read_by(command)) {
        None => Ok(()),
        Some(setting) => {
            let message = format!("claviger {command} does not read {}", setting.flag());
            Err(program.error(ErrorKind::UnknownArgument, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::ffi::OsString;

    /// The commands of a document's blocks of `sh` that call the program, each as its words.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let blocks = text.split("```").skip(1).step_by(2);
        let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
        let lines = shell.map(|block| block.replace("\\\n", " ")).collect::<Vec<_>>().join("\n");
        lines.lines().flat_map(programs).collect()
    }

    /// The calls of the program in one line: words of a shell, as far as the documents use them.
    fn programs(line: &str) -> Vec<Vec<String>> {
        let (mut calls, mut words, mut word, mut quote) =
            (Vec::new(), Vec::new(), String::new(), None);
        for c in line.chars().chain([';']) {
            match (quote, c) {
                (Some(end), _) if c == end => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, ' ' | ';' | '|' | '&' | '<' | '>' | '#' | ')') => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                    if c != ' ' {
                        calls.push(std::mem::take(&mut words));
                    }
                }
                (Some(_) | None, _) => word.push(c),
            }
        }
        let program =
            |words: &Vec<String>| words.iter().position(|word| word.ends_with("claviger"));
        let calls = calls.into_iter().filter_map(|words| {
            let start = program(&words)?;
            let is_call = words[..start].iter().all(|word| word.contains('='));
            is_call.then(|| words[start..].to_vec())
        });
        calls.collect()
    }

    #[test]
    fn every_command_of_the_documents_is_one_that_the_program_takes() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut taken = 0;
        for document in [
            "README.md",
            "ops/docs/TOUR.md",
            "ops/docs/RUNS.md",
            "ops/docs/INTERNET.md",
            "ops/docs/MONGODB.md",
            "ops/docs/runbooks/rotate-master-keys.md",
        ] {
            for words in commands(&std::fs::read_to_string(root.join(document)).unwrap()) {
                let typed = parse(words.iter().map(OsString::from));
                let refused = typed.err().map(|error| error.to_string());
                assert_eq!(refused, None, "{document}: {words:?}");
                taken += 1;
            }
        }
        assert!(taken > 20, "only {taken} commands were found");
    }

    #[test]
    fn a_flag_at_the_command_wins_over_one_before_it() {
        let typed = parse(
            [
                "claviger",
                "--data-dir",
                "a",
                "vault",
                "--lease-ms",
                "500",
                "status",
                "--data-dir",
                "b",
            ]
            .map(OsString::from),
        );
        let typed = typed.ok().unwrap();
        assert_eq!(typed.command, "vault status");
        assert_eq!(typed.settings.data_dir, Some("b".into()));
        assert_eq!(typed.settings.lease_ms, Some(500));
        assert_eq!(typed.settings.listen, None);
    }
}
