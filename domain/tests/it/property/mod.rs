//! Rules that hold for every input. Seeds are fixed, so runs are repeatable; `PROPTEST_RNG_SEED`
//! and `PROPTEST_CASES` change them.

mod commands;
mod events;
mod leaf;
mod ring;
mod text;

use proptest::test_runner::{Config, RngSeed};

/// The settings of every property.
fn settings(cases: u32) -> Config {
    let given = Config::default();
    let seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x0c1a_719e),
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
    };
    let cases = if given.cases == 256 { cases } else { given.cases };
    Config { cases, rng_seed: seed, failure_persistence: None, ..given }
}
