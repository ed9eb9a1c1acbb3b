//! How long to wait before a call is made again: the longer, the more calls in a row have failed.
//! Half of it is a floor that holds whatever the upstream says, so that an upstream that asks for
//! no wait is not called in a tight loop; the other half is drawn by chance, so that calls that
//! failed together are not made again together.

/// Floor and chance of the second wait, in milliseconds. The first has chance alone: most failures
/// are over at once.
const BASE_MS: u64 = 500;

/// Longest floor, in milliseconds.
const FLOOR_MAX_MS: u64 = 30_000;

/// The shortest wait after so many failures in a row, from 1, in milliseconds.
pub(super) const fn floor_ms(failures: u32) -> u64 {
    if failures <= 1 {
        return 0;
    }
    let doublings = if failures > 18 { 16 } else { failures - 2 };
    let floor = BASE_MS << doublings;
    if floor > FLOOR_MAX_MS { FLOOR_MAX_MS } else { floor }
}

/// Milliseconds to wait after so many failures in a row, from 1; `random` is any number.
pub(super) const fn wait_ms(failures: u32, random: u64) -> u64 {
    let floor = floor_ms(failures);
    let chance = if floor == 0 { BASE_MS } else { floor };
    floor + random % (chance + 1)
}

#[cfg(test)]
mod tests {
    use super::wait_ms;

    #[test]
    fn waits_have_a_floor_that_doubles_and_at_most_as_much_by_chance() {
        for (failures, floor, most) in [
            (0, 0, 500),
            (1, 0, 500),
            (2, 500, 1_000),
            (3, 1_000, 2_000),
            (7, 16_000, 32_000),
            (8, 30_000, 60_000),
            (u32::MAX, 30_000, 60_000),
        ] {
            assert_eq!(wait_ms(failures, 0), floor, "{failures}");
            assert_eq!(wait_ms(failures, most - floor), most, "{failures}");
            assert_eq!(wait_ms(failures, most - floor + 1), floor, "{failures}");
        }
    }

    #[test]
    fn the_shortest_waits_of_ten_minutes_are_fewer_than_thirty() {
        let (mut passed, mut failures) = (0, 0);
        while passed <= 600_000 {
            failures += 1;
            passed += wait_ms(failures, 0);
        }
        assert!(failures < 30, "{failures}");
    }
}
