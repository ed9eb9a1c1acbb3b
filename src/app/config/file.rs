//! Reads `claviger.toml`.

use super::ConfigError;
use super::settings::{File as Settable, Settings};
use crate::system::files::{open_regular, read_whole};
use claviger_domain::text::without_mark;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Read where no file is named, if it exists.
const DEFAULT_FILE: &str = "claviger.toml";

/// Takes what neither flags nor variables give from the file, as far as it is read.
pub(super) fn fill(
    settings: Settings,
    is_read: impl Fn(&str) -> bool,
) -> Result<Settings, ConfigError> {
    let (path, named) = match &settings.config {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    match read(&path, named) {
        Ok(None) => Err(ConfigError::Untrusted { path }),
        Ok(Some(text)) => Ok(settings.or(parse(&path, &text)?.only(is_read))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => Ok(settings),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

/// The text of the file; `None` if nobody named it and another user may have written it. The check is
/// on the open file, which nobody can exchange any more.
fn read(path: &Path, named: bool) -> io::Result<Option<Zeroizing<String>>> {
    let file = open_regular(path)?;
    let meta = file.metadata()?;
    let is_ours = meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw();
    if !named && (!is_ours || meta.mode() & 0o022 != 0) {
        return Ok(None);
    }
    Ok(Some(Zeroizing::new(without_mark(&read_whole(&file)?).to_owned())))
}

fn parse(path: &Path, text: &str) -> Result<Settable, ConfigError> {
    toml::from_str(text).map_err(|error| {
        // The error's own message quotes the line or the value, which may be a secret in the wrong
        // place: only its position is used.
        let line = error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        let setting = text
            .lines()
            .nth(line)
            .and_then(|line| line.split_once('='))
            .map_or("", |(name, _)| name.trim());
        let what = if toml::from_str::<toml::Table>(text).is_err() {
            "this is not TOML".to_owned()
        } else if !is_setting_name(setting) {
            "there is no such setting, or its value is invalid".to_owned()
        } else if error.message().starts_with("unknown field") {
            format!("there is no setting {setting}")
        } else {
            format!("the value of {setting} is invalid")
        };
        let place = format!("line {}: {what} (claviger serve --help lists the settings)", line + 1);
        ConfigError::Malformed { path: path.to_owned(), place }
    })
}

/// Whether a text may be shown as the name of a setting.
fn is_setting_name(text: &str) -> bool {
    (1..=30).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
