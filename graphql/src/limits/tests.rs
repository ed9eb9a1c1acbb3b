use super::{Cost, LimitError, Limits, SchemaTypes};
use async_graphql::Variables;
use async_graphql_parser::parse_query;
use claviger_domain::code::ErrorCode;
use std::fmt::Write;

const SDL: &str = "
type Query { viewer: Viewer! node: Node models: [Model!]! }
type Viewer { id: ID! keys(first: Int, last: Int, after: String): KeyConnection! self: Viewer! }
type KeyConnection { nodes: [Key!]! totalCount: Int! }
type Key { id: ID! name: String! history(first: Int): KeyConnection! owner: Viewer! }
interface Node { id: ID! }
type Model { id: ID! }
";

fn check_with(
    limits: &Limits,
    query: &str,
    variables: serde_json::Value,
) -> Result<(), LimitError> {
    limits.check_text(query)?;
    let document = parse_query(query).expect("the test's query parses");
    let types = SchemaTypes::from_sdl(SDL).expect("the test's schema parses");
    limits.check_document(&document, &Variables::from_json(variables), &types).map(drop)
}

fn check(limits: &Limits, query: &str) -> Result<(), LimitError> {
    check_with(limits, query, serde_json::Value::Null)
}

/// `at` passes and `over` is refused, with the bound, its value and the limit.
fn boundary(limits: &Limits, bound: &str, at: &str, over: &str, value: u64, limit: u64) {
    assert_eq!(check(limits, at), Ok(()), "{bound} at the limit");
    let error = check(limits, over).expect_err("over the limit");
    assert_eq!(error.code, ErrorCode::LimitExceeded, "{bound}");
    assert!(
        error.message.contains(&format!("{bound} reach {value}, and the limit is {limit}:")),
        "{}",
        error.message
    );
}

fn nested(levels: usize) -> String {
    format!("{{ viewer {} {{ id }} {} }}", "{ self ".repeat(levels - 2), "}".repeat(levels - 2))
}

fn repeated(what: &str, times: usize) -> String {
    (0..times).fold(String::new(), |mut text, n| {
        write!(text, "{} ", what.replace('#', &n.to_string()))
            .expect("writing to a string succeeds");
        text
    })
}

#[test]
fn each_bound_accepts_its_limit_and_refuses_one_more() {
    let limits = Limits::default();
    boundary(&limits, "levels of fields", &nested(15), &nested(16), 16, 15);
    boundary(
        &limits,
        "aliases",
        &format!("{{ viewer {{ {} }} }}", repeated("a#: id", 30)),
        &format!("{{ viewer {{ {} }} }}", repeated("a#: id", 31)),
        31,
        30,
    );
    boundary(
        &limits,
        "root fields",
        &format!("{{ {} }}", "viewer { id } ".repeat(20)),
        &format!("{{ {} }}", "viewer { id } ".repeat(21)),
        21,
        20,
    );
    boundary(
        &limits,
        "directives",
        &format!("{{ viewer {{ id {} }} }}", "@skip(if: false) ".repeat(50)),
        &format!("{{ viewer {{ id {} }} }}", "@skip(if: false) ".repeat(51)),
        51,
        50,
    );
    // `{`, `viewer`, `{`, n names, `}`, `}`.
    let small = Limits { tokens: 25, ..limits };
    let names = |count: usize| format!("{{ viewer {{ {} }} }}", "id ".repeat(count));
    boundary(&small, "tokens", &names(20), &names(21), 26, 25);
}

#[test]
fn complexity_multiplies_the_fields_below_a_connection() {
    let limits = Limits { complexity: 1, ..Limits::default() };
    let cases = [
        ("{ viewer { id } }", serde_json::json!({}), 2),
        ("{ viewer { keys { totalCount } } }", serde_json::json!({}), 1 + 1 + 20),
        (
            "{ viewer { keys(first: 3) { nodes { id name } } } }",
            serde_json::json!({}),
            1 + 1 + 3 * 3,
        ),
        ("{ viewer { keys(last: 3) { totalCount } } }", serde_json::json!({}), 1 + 1 + 3),
        (
            "query($n: Int) { viewer { keys(first: $n) { totalCount } } }",
            serde_json::json!({"n": 7}),
            1 + 1 + 7,
        ),
        (
            "query($n: Int = 9) { viewer { keys(first: $n) { totalCount } } }",
            serde_json::json!({}),
            1 + 1 + 9,
        ),
        (
            "query($n: Int) { viewer { keys(first: $n) { totalCount } } }",
            serde_json::json!({"n": null}),
            1 + 1 + 20,
        ),
        ("{ viewer { keys(first: 0) { totalCount } } }", serde_json::json!({}), 1 + 1 + 1),
        (
            "{ viewer { keys(first: 2) { nodes { history(first: 5) { totalCount } } } } }",
            serde_json::json!({}),
            1 + 1 + 2 * (1 + 1 + 5),
        ),
        (
            "{ viewer { ...F } } fragment F on Viewer { keys(first: 3) { totalCount } }",
            serde_json::json!({}),
            1 + 1 + 3,
        ),
        (
            "{ viewer { __typename ... on Viewer { keys(first: 3) { totalCount } } } }",
            serde_json::json!({}),
            1 + 1 + 3,
        ),
    ];
    for (query, variables, cost) in cases {
        let exactly = Limits { complexity: cost, ..limits };
        assert_eq!(
            check_with(&exactly, query, variables.clone()),
            Ok(()),
            "{query} costs more than {cost}"
        );
        let less = Limits { complexity: cost - 1, ..limits };
        let error = check_with(&less, query, variables).expect_err(query);
        assert!(error.message.contains("complexity points"), "{query}: {error}");
    }
}

#[test]
fn a_page_of_everything_is_too_complex() {
    let query =
        "{ viewer { keys(first: 100) { nodes { history(first: 100) { nodes { id } } } } } }";
    let error = check(&Limits::default(), query).expect_err("ten thousand fields");
    assert!(error.message.contains("the limit is 5000"), "{error}");
    let huge = "{ viewer { keys(first: 18446744073709551615) { nodes { history(first: 18446744073709551615) { totalCount } } } } }";
    assert!(check(&Limits::default(), huge).is_err(), "the product does not overflow");
}

#[test]
fn introspection_is_exempt_from_depth_and_complexity_only() {
    let limits = Limits { complexity: 1, depth: 1, ..Limits::default() };
    let deep = format!(
        "{{ __schema {{ types {{ fields {{ type {} name {} }} }} }} }}",
        "{ ofType ".repeat(20),
        "}".repeat(20)
    );
    assert_eq!(check(&limits, &deep), Ok(()));
    let aliased = format!("{{ __schema {{ types {{ {} }} }} }}", repeated("a#: name", 31));
    assert!(check(&limits, &aliased).expect_err("aliases").message.contains("aliases"));
    let few = Limits { tokens: 10, ..limits };
    assert!(check(&few, &deep).expect_err("tokens").message.contains("tokens"));
    let circle =
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    assert!(check(&limits, circle).expect_err("lists").message.contains("introspection lists"));
}

#[test]
fn introspection_has_points_of_its_own_that_lists_multiply() {
    let limits = Limits { introspection_points: 1 + 1 + 100 * (1 + 1 + 8), ..Limits::default() };
    let text =
        |fields: &str| format!("{{ __schema {{ types {{ name fields {{ {fields} }} }} }} }}");
    assert_eq!(check(&limits, &text("name")), Ok(()));
    let error = check(&limits, &text("name description")).expect_err("more");
    assert!(error.message.contains("points of introspection"), "{error}");
    // The library resolves a field once for each time it stands there.
    let repeated = format!("{{ __schema {{ {} }} }}", "types { fields { name } } ".repeat(300));
    assert!(check(&Limits::default(), &repeated).is_err());
}

#[test]
fn a_batch_shares_the_points() {
    let limits = Limits { complexity: 10, introspection_points: 10, ..Limits::default() };
    let of = |points, introspection| Cost { points, introspection };
    let spent = limits.add(of(4, 0), of(6, 10));
    assert_eq!(spent, Ok(of(10, 10)));
    for more in [of(1, 0), of(0, 1)] {
        let error = limits.add(of(10, 10), more).expect_err("one more");
        assert_eq!(error.code, ErrorCode::LimitExceeded);
        assert!(error.message.contains("the requests of this batch reach 11"), "{error}");
    }
}

#[test]
fn names_have_a_length() {
    let named = |length: usize| format!("{{ viewer {{ {}: id }} }}", "a".repeat(length));
    assert_eq!(check(&Limits::default(), &named(128)), Ok(()));
    let error = check(&Limits::default(), &named(129)).expect_err("a long alias");
    assert!(error.message.contains("bytes of a name reach 129"), "{error}");
}

#[test]
fn introspection_can_be_disabled() {
    let limits = Limits { introspection: false, ..Limits::default() };
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \"Key\") { name } }",
        "{ ...F } fragment F on Query { __schema { types { name } } }",
    ] {
        assert_eq!(check(&limits, query).expect_err(query).code, ErrorCode::Forbidden);
    }
    assert_eq!(check(&limits, "{ __typename viewer { __typename } }"), Ok(()));
}

#[test]
fn circular_fragments_are_refused() {
    let cases = [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { viewer { ...B } } fragment B on Viewer { self { ...C } } fragment C on Viewer { ...B }",
        // No operation reaches these, but validation would walk them.
        "{ viewer { id } } fragment A on Query { ...B } fragment B on Query { ...A }",
    ];
    for query in cases {
        let error = check(&Limits::default(), query).expect_err(query);
        assert_eq!(
            (error.code, error.message.as_str()),
            (ErrorCode::BadRequest, "a fragment spreads itself, directly or through others")
        );
    }
}

fn doubling(levels: usize) -> String {
    (0..levels).fold(String::new(), |mut text, n| {
        write!(text, "fragment F{n} on Viewer {{ ...F{m} ...F{m} }} ", m = n + 1)
            .expect("writing to a string succeeds");
        text
    }) + &format!("fragment F{levels} on Viewer {{ id }}")
}

#[test]
fn fragments_that_double_each_other_are_refused_without_expansion() {
    for query in [
        format!("{{ viewer {{ ...F0 }} }} {}", doubling(50)),
        format!("{{ viewer {{ id }} }} {}", doubling(50)),
    ] {
        let error = check(&Limits::default(), &query).expect_err("two to the fiftieth selections");
        assert!(error.message.contains("selections, fragments expanded,"), "{error}");
    }
    assert_eq!(
        check(&Limits::default(), &format!("{{ viewer {{ ...F0 }} }} {}", doubling(8))),
        Ok(())
    );
}

#[test]
fn a_long_chain_of_fragments_is_refused_as_nesting() {
    let chain = |length: usize| {
        (0..length).fold("{ viewer { ...F0 } } ".to_owned(), |mut text, n| {
            write!(text, "fragment F{n} on Viewer {{ ...F{m} }} ", m = n + 1)
                .expect("writing to a string succeeds");
            text
        }) + &format!("fragment F{length} on Viewer {{ id }}")
    };
    assert_eq!(check(&Limits::default(), &chain(40)), Ok(()));
    assert!(
        check(&Limits::default(), &chain(1_000))
            .expect_err("nesting")
            .message
            .contains("nested selections")
    );
}

#[test]
fn every_operation_of_the_document_is_checked() {
    let query = format!("query A {{ viewer {{ id }} }} query B {}", nested(16));
    assert!(check(&Limits::default(), &query).is_err());
}

#[test]
fn tokens_are_counted_by_the_grammar() {
    let cases = [
        ("", 0),
        (" ,\t\r\n\u{feff}", 0),
        ("{ a }", 3),
        ("{ a # not { these\n b }", 4),
        ("{ ...F }", 4),
        ("{ a(x: -1.5e+10, y: \"two words { [\") }", 11),
        ("{ a(x: \"\\\" [\", y: \"\") }", 11),
        ("{ a(x: \"\"\"block \" \\\"\"\" [ \n\"\"\") }", 8),
        ("query Q($v: [ID!]!) @d { a }", 17),
    ];
    for (text, count) in cases {
        let at = Limits { tokens: count, ..Limits::default() };
        assert_eq!(at.check_text(text), Ok(()), "{text:?} has more than {count} tokens");
        if count > 0 {
            let under = Limits { tokens: count - 1, ..Limits::default() };
            assert!(under.check_text(text).is_err(), "{text:?} has fewer than {count} tokens");
        }
    }
}

#[test]
fn brackets_cannot_exhaust_the_parsers_stack() {
    for open in ["[", "{a", "{a:", "(", "{a(x:["] {
        let text = open.repeat(3_000);
        assert!(
            Limits::default()
                .check_text(&text)
                .expect_err(open)
                .message
                .contains("nested brackets")
        );
    }
    // The deepest query that passes is parsed on a thread with a stack as small as the server's.
    let deepest = format!("{{ viewer(x: {}{}) {{ id }} }}", "[".repeat(62), "]".repeat(62));
    assert_eq!(Limits::default().check_text(&deepest), Ok(()));
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || parse_query(&deepest).is_ok());
    assert!(thread.expect("a thread starts").join().expect("no overflow"));
}

#[test]
fn an_unterminated_string_hides_no_brackets() {
    for text in [
        "{ a(x: \"open) }",
        "{ a(x: \"\"\"[[[\" [[[[",
        "{ a(x: \"line\nbreak\") }",
        "\"",
        "\"\"\"",
        "\"\\",
    ] {
        let error = Limits::default().check_text(text).expect_err(text);
        assert_eq!(error.code, ErrorCode::BadRequest, "{text:?}");
    }
}

#[test]
fn the_parser_only_receives_documents_within_the_token_limit() {
    let text = format!("{{ {} }}", "a ".repeat(10_000));
    assert!(
        Limits::default()
            .check_text(&text)
            .expect_err("tokens")
            .message
            .contains("tokens reach 10001")
    );
}
