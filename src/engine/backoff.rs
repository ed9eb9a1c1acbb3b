//! How long to wait before a call is retried: exponential backoff with full jitter, so that calls
//! that failed together are not retried together. The bounds are those of Anthropic's own clients.

/// Upper bound of the first wait, in milliseconds.
const BASE_MS: u64 = 500;

/// Upper bound of every wait, in milliseconds.
const MAX_MS: u64 = 8_000;

/// Milliseconds to wait after failure number `tries`, from 1; `random` is any number.
pub(super) const fn wait_ms(tries: u32, random: u64) -> u64 {
    let doublings = if tries > 5 { 4 } else { tries.saturating_sub(1) };
    let bound = BASE_MS << doublings;
    let bound = if bound > MAX_MS { MAX_MS } else { bound };
    random % (bound + 1)
}

#[cfg(test)]
mod tests {
    use super::wait_ms;

    #[test]
    fn waits_stay_within_a_bound_that_doubles() {
        for (tries, bound) in [
            (0, 500),
            (1, 500),
            (2, 1_000),
            (3, 2_000),
            (4, 4_000),
            (5, 8_000),
            (6, 8_000),
            (u32::MAX, 8_000),
        ] {
            assert_eq!(wait_ms(tries, bound), bound, "{tries}");
            assert_eq!(wait_ms(tries, bound + 1), 0, "{tries}");
        }
    }
}
