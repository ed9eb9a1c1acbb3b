//! A program that was taken over does nothing to what is the server's, or its user's, and leaves
//! nothing behind (`ops/docs/adr/0038-what-a-confined-program-may-call.md`).
//!
//! The stand-in makes system calls by their numbers, as no program would have to be told to.

use super::child::{Ground, Stage, alive, answer, guards, next, request, stand_in};
use crate::harness::environment::NOW;
use claviger::anthropic::stream::CallItem;
use futures::StreamExt as _;
use libc::c_long;
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::process::geteuid;
use rustix::system::uname;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

/// Calls and their arguments: `K` is a key file of the server's user, `D` a new name in the
/// program's own directory, `P` the server's process, `S` a text that is never read.
const REFUSED: [(&str, c_long, &str); 88] = [
    // What Landlock does not cover: modes, owners, attributes and times of files, and watching.
    ("fchmodat", libc::SYS_fchmodat, "-100 K 511"),
    ("fchmodat2", 452, "-100 K 511 0"),
    ("fchmod", libc::SYS_fchmod, "0 511"),
    ("fchownat", libc::SYS_fchownat, "-100 K 65534 65534 0"),
    ("fchown", libc::SYS_fchown, "0 65534 65534"),
    ("setxattr", libc::SYS_setxattr, "K s:user.taken S 1 0"),
    ("lsetxattr", libc::SYS_lsetxattr, "K s:user.taken S 1 0"),
    ("fsetxattr", libc::SYS_fsetxattr, "0 s:user.taken S 1 0"),
    ("setxattrat", 463, "-100 K 0 s:user.taken 0 0"),
    ("removexattr", libc::SYS_removexattr, "K s:user.kept"),
    ("lremovexattr", libc::SYS_lremovexattr, "K s:user.kept"),
    ("getxattr", libc::SYS_getxattr, "K s:user.kept 0 0"),
    ("listxattr", libc::SYS_listxattr, "K 0 0"),
    ("file_setattr", 469, "-100 K 0 0 0"),
    ("utimensat", libc::SYS_utimensat, "-100 K 0 0"),
    ("truncate", libc::SYS_truncate, "K 0"),
    ("inotify_init1", libc::SYS_inotify_init1, "0"),
    ("fanotify_init", libc::SYS_fanotify_init, "0 0"),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, "-100 K 0 0 0"),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, "-100 0 0"),
    // A disk, and a pipe: the program has no need of either.
    ("mknodat block", libc::SYS_mknodat, "-100 D 24960 65024"),
    ("mknodat character", libc::SYS_mknodat, "-100 D 8576 259"),
    ("mknodat pipe", libc::SYS_mknodat, "-100 D 4480 0"),
    // Other processes of the user.
    ("ptrace", libc::SYS_ptrace, "0 0 0 0"),
    ("process_vm_readv", libc::SYS_process_vm_readv, "P 0 0 0 0 0"),
    ("process_vm_writev", libc::SYS_process_vm_writev, "P 0 0 0 0 0"),
    ("process_madvise", libc::SYS_process_madvise, "-1 0 0 0 0"),
    ("process_mrelease", libc::SYS_process_mrelease, "-1 0"),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, "-1 0 0"),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, "-1 0 0 0"),
    ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, "P 0 0"),
    ("kcmp", libc::SYS_kcmp, "P P 2 0 0"),
    ("get_robust_list", libc::SYS_get_robust_list, "P 0 0"),
    ("prlimit64 of another", libc::SYS_prlimit64, "P 7 0 S"),
    ("setpriority", libc::SYS_setpriority, "0 P 0"),
    ("ioprio_set", libc::SYS_ioprio_set, "1 P 0"),
    ("sched_setaffinity", libc::SYS_sched_setaffinity, "P 0 0"),
    ("sched_setparam", libc::SYS_sched_setparam, "P 0"),
    ("sched_setscheduler", libc::SYS_sched_setscheduler, "P 0 0"),
    ("sched_setattr", libc::SYS_sched_setattr, "P 0 0"),
    ("migrate_pages", libc::SYS_migrate_pages, "P 0 0 0"),
    ("move_pages", libc::SYS_move_pages, "P 0 0 0 0 0"),
    ("perf_event_open", libc::SYS_perf_event_open, "0 P -1 -1 0"),
    ("prctl of its end", libc::SYS_prctl, "1 0 0 0 0"),
    // Services of the user behind a path or a name, and other kinds of network.
    ("socket unix", libc::SYS_socket, "1 1 0"),
    ("socket unix datagram", libc::SYS_socket, "1 2 0"),
    ("socketpair datagram", libc::SYS_socketpair, "1 2 0 S"),
    ("socket netlink audit", libc::SYS_socket, "16 3 9"),
    ("socket packet", libc::SYS_socket, "17 3 0"),
    ("socket alg", libc::SYS_socket, "38 5 0"),
    ("socket vsock", libc::SYS_socket, "40 1 0"),
    ("listen", libc::SYS_listen, "0 1"),
    ("accept4", libc::SYS_accept4, "0 0 0 0"),
    ("shmget", libc::SYS_shmget, "1 1 0"),
    ("msgget", libc::SYS_msgget, "1 0"),
    ("semget", libc::SYS_semget, "1 1 0"),
    ("mq_open", libc::SYS_mq_open, "s:none 0 0 0"),
    ("keyctl", libc::SYS_keyctl, "0 -4 0 0 0"),
    ("add_key", libc::SYS_add_key, "0 0 0 0 0"),
    ("request_key", libc::SYS_request_key, "0 0 0 0"),
    // Ways around: a ring of calls, other filters, other machines within the machine.
    ("io_uring_setup", libc::SYS_io_uring_setup, "0 0"),
    ("io_uring_enter", libc::SYS_io_uring_enter, "-1 0 0 0 0 0"),
    ("io_uring_register", libc::SYS_io_uring_register, "-1 0 0 0"),
    ("seccomp", libc::SYS_seccomp, "2 0 S"),
    ("bpf", libc::SYS_bpf, "0 0 0"),
    ("userfaultfd", libc::SYS_userfaultfd, "-1"),
    ("unshare", libc::SYS_unshare, "268435456"),
    ("clone of a namespace", libc::SYS_clone, "268435473 0 0 0 0"),
    ("clone3", libc::SYS_clone3, "0 0"),
    ("setns", libc::SYS_setns, "-1 0"),
    ("mount", libc::SYS_mount, "0 0 0 0 0"),
    ("umount2", libc::SYS_umount2, "D 0"),
    ("pivot_root", libc::SYS_pivot_root, "D D"),
    ("chroot", libc::SYS_chroot, "D"),
    ("open_tree", libc::SYS_open_tree, "-100 D 0"),
    ("move_mount", libc::SYS_move_mount, "-1 0 -1 0 0"),
    ("fsopen", libc::SYS_fsopen, "0 0"),
    ("mount_setattr", libc::SYS_mount_setattr, "-1 0 0 0 0"),
    ("quotactl", libc::SYS_quotactl, "0 0 0 0"),
    // The machine's.
    ("finit_module", libc::SYS_finit_module, "-1 0 0"),
    ("kexec_load", libc::SYS_kexec_load, "0 1 0 0"),
    ("syslog", libc::SYS_syslog, "-1 0 0"),
    ("clock_settime", libc::SYS_clock_settime, "0 0"),
    ("swapon", libc::SYS_swapon, "0 0"),
    ("personality", libc::SYS_personality, "4294967295"),
    ("setuid", libc::SYS_setuid, "-1"),
    ("setgroups", libc::SYS_setgroups, "-1 0"),
    ("capset", libc::SYS_capset, "0 0"),
];

/// Those of one kind of machine, with the second set of numbers that its kernel may have.
#[cfg(target_arch = "x86_64")]
const OLDER: [(&str, c_long, &str); 10] = [
    ("chmod", libc::SYS_chmod, "K 511"),
    ("chmod by x32", 0x4000_0000 + libc::SYS_chmod, "K 511"),
    ("chown", libc::SYS_chown, "K 65534 65534"),
    ("lchown", libc::SYS_lchown, "K 65534 65534"),
    ("utime", libc::SYS_utime, "K 0"),
    ("utimes", libc::SYS_utimes, "K 0"),
    ("futimesat", libc::SYS_futimesat, "-100 K 0"),
    ("mknod", libc::SYS_mknod, "D 24960 65024"),
    ("inotify_init", libc::SYS_inotify_init, ""),
    ("iopl", libc::SYS_iopl, "0"),
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [(&str, c_long, &str); 0] = [];

/// What a program needs, as some of the same calls.
const ALLOWED: [(&str, c_long, &str); 7] = [
    ("socket internet", libc::SYS_socket, "2 1 0"),
    ("socket routes", libc::SYS_socket, "16 3 0"),
    ("socketpair stream", libc::SYS_socketpair, "1 1 0 S"),
    ("prlimit64 of itself", libc::SYS_prlimit64, "0 7 0 S"),
    ("prctl of its signal", libc::SYS_prctl, "1 9 0 0 0"),
    ("mkdirat", libc::SYS_mkdirat, "-100 D 448"),
    ("uname", libc::SYS_uname, "S"),
];

fn taken_over() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upstream/taken-over.pl")
}

/// Where the program of this user has its settings.
fn settings(ground: &Ground, user: Option<u32>) -> PathBuf {
    ground.path(if user.is_some() { "settings/ada" } else { "data/claude/ada" })
}

/// The pipe that its processes hold, which any user may write to.
fn alive_for(ground: &Ground, user: Option<u32>) -> Receiver<Option<String>> {
    let settings = settings(ground, user);
    let lines = alive(&settings);
    fs::set_permissions(settings.join("alive"), Permissions::from_mode(0o622)).unwrap();
    lines
}

/// The prompt that makes the stand-in do these calls.
fn orders(calls: &[(&str, c_long, &str)], key: &Path, new: &Path) -> String {
    let us = std::process::id();
    let argument = |argument: &str| match argument {
        "K" => format!("s:{}", key.display()),
        "D" => format!("s:{}", new.display()),
        "S" => format!("s:{}", "x".repeat(256)),
        "P" => us.to_string(),
        other => other.to_owned(),
    };
    let line = |(name, number, arguments): &(&str, c_long, &str)| {
        let arguments: Vec<_> = arguments.split_whitespace().map(argument).collect();
        format!("call {} {number} {}", name.replace(' ', "-"), arguments.join(" "))
    };
    calls.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What came of each call that didn't come to this.
fn otherwise(answer: &str, calls: &[(&str, c_long, &str)], errno: i32) -> Vec<String> {
    let results: Vec<_> = answer.split_whitespace().map(str::to_owned).collect();
    assert_eq!(results.len(), calls.len(), "{answer}");
    let end = format!("={errno}");
    results.into_iter().filter(|result| !result.ends_with(&end)).collect()
}

/// Each guard alone, and both: the filter of calls stands beside them.
#[tokio::test]
async fn what_a_container_would_refuse_is_refused() {
    let calls = [&REFUSED[..], &OLDER].concat();
    for (landlock, user) in guards() {
        let ground = Ground::new(&taken_over());
        let key = ground.path("other.key");
        let has_attributes = setxattr(&key, "user.kept", b"kept", XattrFlags::empty()).is_ok();
        let before = fs::metadata(&key).unwrap();
        let program = ground.program(landlock, user, "claviger");
        let own = settings(&ground, user);
        let all = answer(&program, &orders(&calls, &key, &own.join("disk"))).await;
        let done = otherwise(&all, &calls, libc::ENOSYS);
        assert!(done.is_empty(), "{landlock} {user:?}: {done:?}");
        let after = fs::metadata(&key).unwrap();
        let of = |it: &fs::Metadata| (it.mode(), it.uid(), it.gid(), it.mtime_nsec(), it.len());
        assert_eq!(of(&after), of(&before));
        let mut value = [0; 8];
        assert!(!has_attributes || getxattr(&key, "user.kept", &mut value[..]) == Ok(4));
        assert!(!own.join("disk").exists(), "no file was made");

        let all = answer(&program, &orders(&ALLOWED, &key, &own.join("made"))).await;
        let refused = otherwise(&all, &ALLOWED, 0);
        assert!(refused.is_empty(), "{landlock} {user:?}: {refused:?}");
    }
}

/// Whether this kernel's Landlock refuses signals to others: Linux 6.12.
fn guards_signals() -> bool {
    let release = uname().release().to_string_lossy().into_owned();
    let numbers: Vec<u32> = release.split(['.', '-']).map_while(|it| it.parse().ok()).collect();
    numbers >= vec![6, 12]
}

#[tokio::test]
async fn no_signal_reaches_a_process_of_the_server() {
    for (landlock, user) in guards() {
        if user.is_none() && !guards_signals() {
            continue;
        }
        let ground = Ground::new(&taken_over());
        let program = ground.program(landlock, user, "claviger");
        // 0 is no signal: it asks whether one would be let through.
        let calls = [("kill", libc::SYS_kill, "P 0"), ("tkill", libc::SYS_tkill, "P 0")];
        let all = answer(&program, &orders(&calls, Path::new("-"), Path::new("-"))).await;
        let sent = otherwise(&all, &calls, libc::EPERM);
        assert!(sent.is_empty(), "{landlock} {user:?}: {sent:?}");
    }
}

#[tokio::test]
async fn a_program_has_no_capabilities_and_gets_none() {
    for (landlock, user) in guards() {
        let ground = Ground::new(&stand_in());
        let program = ground.program(landlock, user, "claviger");
        let own = settings(&ground, user);
        let mut call = program.messages(request("hang"), NOW);
        while !matches!(call.next().await, Some(CallItem::Text(_))) {}
        let pids = fs::read_to_string(own.join("pids")).unwrap();
        // The program, and one that it started.
        for pid in pids.split_whitespace() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let value = |name: &str| {
                let line = status.lines().find(|line| line.split(':').next() == Some(name));
                line.unwrap().split_whitespace().last().unwrap().to_owned()
            };
            for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(value(name), "0".repeat(16), "{name}, {landlock} {user:?}");
            }
            assert_eq!((&*value("NoNewPrivs"), &*value("Seccomp")), ("1", "2"));
            assert!(geteuid().is_root() || value("Uid") == geteuid().as_raw().to_string());
        }
    }
}

/// How the stand-in's processes leave it.
const WAYS: [&str; 9] = [
    "of the parent",
    "other group",
    "other session",
    "daemon",
    "group of the supervisor",
    "deaf",
    "stopped",
    "orphan of another",
    "reaper",
];

fn scatter(how: &str) -> String {
    format!("please\n{how} {} {}\nnow", libc::SYS_clone, libc::SYS_prctl)
}

fn all_left(lines: &Receiver<Option<String>>) {
    let ways: BTreeSet<String> = WAYS.iter().map(|_| next(lines).expect("it ended")).collect();
    assert_eq!(ways, WAYS.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_program_in_any_way_ends_with_a_killed_server() {
    let mut stage = Stage::open(&taken_over()).await;
    let alive = stage.alive();
    stage.run(&scatter("scatter")).await;
    all_left(&alive);
    stage.server.kill();
    assert_eq!(next(&alive), None, "the last holder of the pipe is gone");
    drop(stage.home);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_program_in_any_way_ends_with_a_cancelled_run() {
    let stage = Stage::open(&taken_over()).await;
    let alive = stage.alive();
    let run = stage.run(&scatter("scatter")).await;
    all_left(&alive);
    stage.ada.done("cancelOrchestration", json!({ "id": run })).await;
    assert_eq!(next(&alive), None, "the last holder of the pipe is gone");
    stage.server.stop().await;
}

#[tokio::test]
async fn what_left_the_program_in_any_way_ends_with_its_answer() {
    for (landlock, user) in guards() {
        let ground = Ground::new(&taken_over());
        let program = ground.program(landlock, user, "claviger");
        let alive = alive_for(&ground, user);
        assert_eq!(answer(&program, &scatter("scatter-and-end")).await, "ended");
        all_left(&alive);
        assert_eq!(next(&alive), None, "{landlock} {user:?}");
    }
}

/// Killed one by one, many of them stay ahead of who kills them. These are fewer, for the machine's
/// sake.
#[tokio::test]
async fn what_forks_without_end_ends_with_a_call_that_is_given_up() {
    if !guards_signals() {
        return;
    }
    for (landlock, user) in guards() {
        let ground = Ground::new(&taken_over());
        let program = ground.program(landlock, user, "claviger");
        let alive = alive_for(&ground, user);
        let mut call = program.messages(request("please\nflee\nnow"), NOW);
        while !matches!(call.next().await, Some(CallItem::Text(_))) {}
        assert_eq!(next(&alive).as_deref(), Some("here"));
        drop(call);
        assert_eq!(next(&alive), None, "{landlock} {user:?}");
    }
}
