//! The program: everything it does is a command of [`claviger::cli`].

use std::process::ExitCode;

// Measured in ops/docs/adr: GraphQL execution is mostly small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    claviger::cli::main()
}
