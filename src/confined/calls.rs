//! Which system calls a confined program may make, enforced by seccomp.
//!
//! Landlock keeps a program from a file's content, not from its mode, owner, times and attributes,
//! and not from what other processes of its user may be told to do. So the list is of what is
//! allowed: what a kernel learns later is refused too, as is the second set of numbers that some
//! kernels of `x86_64` have.

use super::launch::Refusal;
use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// What a refused call answers: that there is none. Programs go on without it, as on an older
/// kernel; the C library then takes `clone`, whose flags can be looked at, for `clone3`.
const REFUSED: SeccompAction = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());

/// Files by their names, as far as Landlock decides about them.
const FILES: [c_long; 23] = [
    libc::SYS_chdir,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchdir,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getcwd,
    libc::SYS_linkat,
    libc::SYS_memfd_create,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_umask,
    libc::SYS_unlinkat,
];

/// What is open already.
const DESCRIPTORS: [c_long; 44] = [
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readv,
    libc::SYS_sendfile,
    libc::SYS_signalfd4,
    libc::SYS_splice,
    libc::SYS_sync_file_range,
    libc::SYS_tee,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_vmsplice,
    libc::SYS_write,
    libc::SYS_writev,
    // The kernel's own, after a signal that stopped the process.
    libc::SYS_restart_syscall,
];

/// Sockets that [`conditions`] let it have. It offers none to others: no `listen`.
const SOCKETS: [c_long; 13] = [
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

const MEMORY: [c_long; 20] = [
    libc::SYS_brk,
    libc::SYS_get_mempolicy,
    libc::SYS_madvise,
    libc::SYS_mbind,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_munmap,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_set_mempolicy,
];

/// Its own processes and threads. Signals to others Landlock refuses.
const PROCESSES: [c_long; 55] = [
    libc::SYS_capget,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_kill,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_pidfd_open,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setpgid,
    libc::SYS_setrlimit,
    libc::SYS_setsid,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_times,
    libc::SYS_tkill,
    libc::SYS_uname,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

const CLOCKS: [c_long; 12] = [
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
];

/// Older calls for the same, which newer kinds of machine don't have.
#[cfg(target_arch = "x86_64")]
const OLDER: [c_long; 28] = [
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_fork,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [c_long; 0] = [];

/// New namespaces, by the flags of `clone`.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Bits of a socket's type that are its kind; the others are flags.
const KIND: libc::c_int = 0xf;

/// Whether this kernel, and this kind of machine, have such filters.
pub fn has_call_filter() -> bool {
    filter().is_ok() && std::fs::exists("/proc/sys/kernel/seccomp/actions_avail").unwrap_or(false)
}

/// Takes from this process, and from what it becomes and starts, every call but the allowed ones.
///
/// # Errors
/// [`Refusal::Unguarded`] if the kernel doesn't enforce it.
pub(super) fn restrict() -> Result<(), Refusal> {
    let filter = filter().map_err(|_| Refusal::Unguarded)?;
    seccompiler::apply_filter(&filter).map_err(|_| Refusal::Unguarded)
}

fn filter() -> Result<BpfProgram, BackendError> {
    let always = FILES.iter().chain(&DESCRIPTORS).chain(&SOCKETS).chain(&MEMORY);
    let always = always.chain(&PROCESSES).chain(&CLOCKS).chain(&OLDER);
    let mut calls: BTreeMap<_, _> = always.map(|call| (*call, Vec::new())).collect();
    calls.extend(conditions()?);
    let machine = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(calls, REFUSED, SeccompAction::Allow, machine)?.try_into()
}

/// Calls that are allowed with some arguments only: one of the rules must hold.
fn conditions() -> Result<[(c_long, Vec<SeccompRule>); 5], BackendError> {
    let rule = SeccompRule::new;
    // A path of a Unix socket is no matter for Landlock before Linux 7.1, and behind one may be a
    // service that does everything for this user. The internet, and what tells of its interfaces:
    let internet = |family| rule(vec![is(0, family)?]);
    let routes = vec![is(0, libc::AF_NETLINK)?, is(2, libc::NETLINK_ROUTE)?];
    // Pairs are for the program's own children. One for datagrams could be sent to a path.
    let pair = |kind| rule(vec![is(0, libc::AF_UNIX)?, masked(1, KIND, kind)?]);
    // The signal that ends the program if its supervisor dies stays.
    let kill = vec![is(0, libc::PR_SET_PDEATHSIG)?, is(1, libc::SIGKILL)?];
    let other = SeccompCmpOp::Ne;
    let other = vec![compare(0, other, libc::PR_SET_PDEATHSIG)?];
    Ok([
        (
            libc::SYS_socket,
            vec![internet(libc::AF_INET)?, internet(libc::AF_INET6)?, rule(routes)?],
        ),
        (libc::SYS_socketpair, vec![pair(libc::SOCK_STREAM)?, pair(libc::SOCK_SEQPACKET)?]),
        (libc::SYS_clone, vec![rule(vec![masked(0, NAMESPACES, 0)?])?]),
        (libc::SYS_prctl, vec![rule(kill)?, rule(other)?]),
        // Of other processes of the user it would change the bounds: that can end them.
        (libc::SYS_prlimit64, vec![rule(vec![is(0, 0)?])?]),
    ])
}

fn is(argument: u8, value: libc::c_int) -> Result<SeccompCondition, BackendError> {
    compare(argument, SeccompCmpOp::Eq, value)
}

fn masked(
    argument: u8,
    mask: libc::c_int,
    value: libc::c_int,
) -> Result<SeccompCondition, BackendError> {
    compare(argument, SeccompCmpOp::MaskedEq(mask.unsigned_abs().into()), value)
}

/// Of the arguments looked at here the kernel itself takes 32 bits.
fn compare(
    argument: u8,
    how: SeccompCmpOp,
    value: libc::c_int,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value.unsigned_abs().into())
}
