use claviger_domain::timestamp::Timestamp;

#[test]
fn times_are_written_as_rfc_3339_with_milliseconds() {
    let table = [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_760_000_000_123, "2025-10-09T08:53:20.123Z"),
        (Timestamp::MAX.0, "9999-12-31T23:59:59.999Z"),
    ];
    for (ms, text) in table {
        assert_eq!(Timestamp(ms).to_string(), text);
        assert_eq!(Timestamp::parse(text), Some(Timestamp(ms)));
    }
}

#[test]
fn times_are_read_in_any_offset_and_precision() {
    let table = [
        ("2025-10-09T08:53:20Z", 1_760_000_000_000),
        ("2025-10-09T10:53:20+02:00", 1_760_000_000_000),
        ("2025-10-08T23:23:20.5-09:30", 1_760_000_000_500),
        ("2025-10-09T08:53:20.123999999Z", 1_760_000_000_123),
        ("2025-10-09t08:53:20z", 1_760_000_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ];
    for (text, ms) in table {
        assert_eq!(Timestamp::parse(text), Some(Timestamp(ms)), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    let bad = [
        "",
        "now",
        "1760000000000",
        "2025-10-09",
        "2025-10-09T08:53:20",
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-10-09T24:00:00Z",
        "2025-10-09T08:60:00Z",
        "2025-10-09T08:53:20+24:00",
        "2025-10-09T08:53:20.Z",
        " 2025-10-09T08:53:20Z",
        "2025-10-09T08:53:20Z ",
        "+12025-10-09T08:53:20Z",
        "2025-10-09T08:53:20Zulu",
    ];
    for text in bad {
        assert_eq!(Timestamp::parse(text), None, "{text:?}");
    }
}

#[test]
fn times_before_1970_and_after_9999_are_refused() {
    let bad = [
        "1969-12-31T23:59:59Z",
        "1969-12-31T23:59:59.999Z",
        "1969-12-31T23:59:59.9999Z",
        "1970-01-01T00:59:59.9999+01:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999-00:01",
    ];
    for text in bad {
        assert_eq!(Timestamp::parse(text), None, "{text}");
    }
}

#[test]
fn sums_stop_at_the_last_time_that_can_be_written() {
    assert_eq!(Timestamp(1).plus_ms(2), Timestamp(3));
    assert_eq!(Timestamp::MAX.plus_ms(1), Timestamp::MAX);
    assert_eq!(Timestamp(1).plus_ms(u64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn time_since_a_later_point_is_nothing() {
    assert_eq!(Timestamp(5).ms_since(Timestamp(3)), 2);
    assert_eq!(Timestamp(3).ms_since(Timestamp(5)), 0);
}

#[test]
fn times_are_stored_as_plain_integers() {
    assert_eq!(serde_json::to_string(&Timestamp(1_760_000_000_123)).unwrap(), "1760000000123");
    assert!(serde_json::from_str::<Timestamp>("-1").is_err());
    assert!(serde_json::from_str::<Timestamp>("1.5").is_err());
    assert!(serde_json::from_str::<Timestamp>("\"2025-10-09T08:53:20Z\"").is_err());
}
