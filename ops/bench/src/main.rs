//! `claviger-bench`: measures Claviger against baselines of the same run.

use std::process::ExitCode;

// The measured program has the same allocator, and so have the baselines in processes of their own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    claviger_bench::main()
}
