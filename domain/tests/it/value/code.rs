use claviger_domain::code::ErrorCode;
use std::collections::BTreeSet;

/// The enum `ErrorCode` of the GraphQL contract, in its order, with the HTTP status of each.
const CONTRACT: [(&str, u16); 20] = [
    ("UNAUTHENTICATED", 401),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("VALIDATION", 400),
    ("CONFLICT", 409),
    ("DUPLICATE", 409),
    ("IDEMPOTENCY_KEY_REUSED", 409),
    ("LIMIT_EXCEEDED", 400),
    ("RATE_LIMITED", 429),
    ("NO_CREDENTIAL", 409),
    ("KEY_UNAVAILABLE", 409),
    ("UPSTREAM", 502),
    ("VIEW_BEHIND", 503),
    ("CURSOR_INVALID", 400),
    ("BAD_REQUEST", 400),
    ("PERSISTED_QUERY_NOT_FOUND", 400),
    ("TIMEOUT", 504),
    ("STORE_UNAVAILABLE", 503),
    ("SHUTTING_DOWN", 503),
    ("INTERNAL", 500),
];

#[test]
fn codes_are_those_of_the_contract_each_with_its_status() {
    let codes: Vec<_> =
        ErrorCode::ALL.iter().map(|code| (code.as_str(), code.http_status())).collect();
    assert_eq!(codes, CONTRACT);
}

#[test]
fn exit_codes_are_distinct_and_neither_success_nor_what_shells_use() {
    let exits: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.exit_code()).collect();
    assert_eq!(exits.len(), ErrorCode::ALL.len());
    assert!(
        exits.iter().all(|exit| (3..126).contains(exit)),
        "0 is success, 1 and 2 are panics and wrong usage, 126 up is the shell's"
    );
}

#[test]
fn codes_are_written_as_they_are_spelled() {
    for code in ErrorCode::ALL {
        let json = serde_json::to_string(code).unwrap();
        assert_eq!(json, format!("\"{}\"", code.as_str()));
        assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
    }
}
