//! Which files a confined program may use, enforced by Landlock.

use super::launch::Refusal;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};
use std::path::{Component, Path, PathBuf};

/// The newest kernel's rights that we ask for. An older kernel enforces those it knows.
const NEWEST: ABI = ABI::V6;

/// Where programs, libraries and their data are on a system, and what a program needs to find hosts
/// and check certificates. Nothing of a user's and nothing of a service's. Of `/proc`, what says how
/// large the machine is, and the program's own map of memory: the C library ends a program that
/// can't read that.
const SYSTEM: [&str; 33] = [
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self/maps",
    "/proc/stat",
    "/sys/devices/system/cpu",
];

/// Devices without content.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// Whether this kernel enforces what `restrict_to` asks for.
pub fn has_landlock() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

/// What a program may read and execute: the system's part, its own package, and the interpreter that
/// its first line finds on `path`.
pub fn readable_for(program: &Path, path: &Path) -> Vec<PathBuf> {
    let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    readable.extend(real(program).map(|program| package_of(&program)));
    let folders = std::env::split_paths(path);
    readable.extend(folders.map(|folder| folder.join("node")).find_map(|node| real(&node)));
    readable
}

/// The package of npm that a file belongs to, with those of the same scope, or the file alone.
fn package_of(program: &Path) -> PathBuf {
    let parts: Vec<Component<'_>> = program.components().collect();
    let packages = parts.iter().rposition(|part| part.as_os_str() == "node_modules");
    let end = packages.map(|at| at + 2).filter(|end| *end < parts.len());
    end.map_or_else(|| program.to_owned(), |end| parts.iter().take(end).collect())
}

/// Keeps this process, and what it starts, from signalling any other; whether the kernel enforces
/// that.
pub(super) fn fence() -> bool {
    let fenced = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal)
        .and_then(Ruleset::create)
        .and_then(RulesetCreated::restrict_self);
    fenced.is_ok_and(|status| status.ruleset == RulesetStatus::FullyEnforced)
}

/// Takes from this process, and from what it becomes and starts, every file but these. Its own
/// writable files it may execute, too: a guard against that would be one against shells.
///
/// # Errors
/// [`Refusal::Unguarded`] if the kernel doesn't enforce it.
pub(super) fn restrict_to(readable: &[PathBuf], writable: &[PathBuf]) -> Result<(), Refusal> {
    match enforced(readable, writable) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
        Ok(RulesetStatus::NotEnforced) | Err(_) => Err(Refusal::Unguarded),
    }
}

fn enforced(readable: &[PathBuf], writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let devices = AccessFs::ReadFile | AccessFs::WriteFile;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        // No signal to a process outside, so that the supervisor can't be stopped.
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let ruleset = grant(ruleset, readable, read)?;
    // A device that it made would be the disk itself.
    let devices_made = AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev;
    let ruleset = grant(ruleset, writable, AccessFs::from_all(NEWEST) & !devices_made)?;
    let ruleset = grant(ruleset, &DEVICES.map(PathBuf::from), devices)?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// Files get the rights that a file can have.
fn grant(
    mut ruleset: RulesetCreated,
    paths: &[PathBuf],
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        // What isn't there needs no grant.
        let Ok(open) = PathFd::new(path) else { continue };
        let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
        ruleset = ruleset.add_rule(PathBeneath::new(open, rights))?;
    }
    Ok(ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_read_its_package_or_itself() {
        for (program, expected) in [
            ("/opt/claude/claude", "/opt/claude/claude"),
            ("/usr/lib/node_modules/@a/b/bin/c", "/usr/lib/node_modules/@a"),
            ("/x/node_modules/p/node_modules/q/cli.js", "/x/node_modules/p/node_modules/q"),
            ("/x/node_modules/cli.js", "/x/node_modules/cli.js"),
        ] {
            assert_eq!(package_of(Path::new(program)), Path::new(expected), "{program}");
        }
    }
}
