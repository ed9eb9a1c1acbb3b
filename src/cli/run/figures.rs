//! Formats numbers for people.

/// A duration: `1.2 s`, `42 s`, `3:05 min`, `5:07 h`, `26 days`.
pub(super) fn took(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..60_000 => format!("{} s", ms / 1000),
        60_000..3_600_000 => format!("{}:{:02} min", ms / 60_000, ms % 60_000 / 1000),
        3_600_000..172_800_000 => {
            format!("{}:{:02} h", ms / 3_600_000, ms % 3_600_000 / 60_000)
        }
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// A number with commas between thousands.
pub(in crate::cli) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount in nano-dollars as dollars: two decimal places and as many more as it needs, at most
/// six.
pub(in crate::cli) fn usd(nano: u64) -> String {
    // Half a millionth rounds up; less is shown as "under".
    if (1..500).contains(&nano) {
        return "under $0.000001".to_owned();
    }
    let micro = nano.saturating_add(500) / 1000;
    let (dollars, rest) = (micro / 1_000_000, format!("{:06}", micro % 1_000_000));
    let (cents, beyond) = rest.split_at_checked(2).unwrap_or((rest.as_str(), ""));
    format!("${}.{cents}{}", count(dollars), beyond.trim_end_matches('0'))
}

/// The estimated tokens of an unfinished text.
pub(super) fn about_tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (ms, expected) in [
            (0, "0.0 s"),
            (1290, "1.2 s"),
            (9999, "9.9 s"),
            (10_000, "10 s"),
            (59_999, "59 s"),
            (185_000, "3:05 min"),
            (3_599_999, "59:59 min"),
            (18_420_000, "5:07 h"),
            (172_800_000, "2 days"),
            (2_246_400_000, "26 days"),
        ] {
            assert_eq!(took(ms), expected);
        }
        for (number, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), expected);
        }
        for (nano, expected) in [
            (0, "$0.00"),
            (1, "under $0.000001"),
            (500, "$0.000001"),
            (1_500_000, "$0.0015"),
            (10_000_000, "$0.01"),
            (1_234_567_890, "$1.234568"),
            (2_000_000_000_000, "$2,000.00"),
        ] {
            assert_eq!(usd(nano), expected);
        }
    }
}
