//! The program: everything it does is a command of [`claviger::cli`].

use std::process::ExitCode;

// Why, and what isn't measured yet: ops/docs/adr/0007-crates.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    claviger::cli::main()
}
