//! The fields at the root of an operation, which may stand in fragments: clients that are made of
//! components put them there.

use super::kept::reach;
use super::refusal::Refusal;
use async_graphql::{Name, Positioned};
use async_graphql_parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection,
    SelectionSet,
};
use std::collections::HashSet;

/// Calls `take` with each field at the root and the directives around it, in their order. A fragment
/// that is spread twice is walked once, as it is executed.
///
/// # Errors
/// What `take` and `enter` return; `enter` gets the type on which each fragment is.
fn walk<'a, E>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    around: &[&'a Positioned<Directive>],
    opened: &mut HashSet<&'a Name>,
    visit: &mut impl FnMut(Visit<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => visit(Visit::Field(field, around))?,
            Selection::InlineFragment(fragment) => {
                if let Some(on) = &fragment.node.type_condition {
                    visit(Visit::Fragment(&on.node.on.node))?;
                }
                let around: Vec<_> =
                    around.iter().copied().chain(&fragment.node.directives).collect();
                walk(document, &fragment.node.selection_set.node, &around, opened, visit)?;
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                let Some((name, fragment)) = document.fragments.get_key_value(name) else {
                    continue;
                };
                if !opened.insert(name) {
                    continue;
                }
                visit(Visit::Fragment(&fragment.node.type_condition.node.on.node))?;
                let (of_spread, own) = (&spread.node.directives, &fragment.node.directives);
                let around: Vec<_> = around.iter().copied().chain(of_spread).chain(own).collect();
                walk(document, &fragment.node.selection_set.node, &around, opened, visit)?;
            }
        }
    }
    Ok(())
}

enum Visit<'v, 'a> {
    /// A field, and the directives of the fragments around it.
    Field(&'a Positioned<Field>, &'v [&'a Positioned<Directive>]),
    /// The type that a fragment is on.
    Fragment(&'a Name),
}

/// The names of all fields at the root.
pub(super) fn names<'a>(
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
) -> Vec<&'a str> {
    let (mut names, mut opened) = (Vec::new(), HashSet::new());
    let mut visit = |visit: Visit<'_, 'a>| -> Result<(), std::convert::Infallible> {
        if let Visit::Field(field, _) = visit {
            names.push(field.node.name.node.as_str());
        }
        Ok(())
    };
    let Ok(()) = walk(document, &operation.selection_set.node, &[], &mut opened, &mut visit);
    names
}

/// Takes a subscription's one root field out of the fragments around it. The specification requires
/// exactly one field, wherever it stands; the library would run several, and none in a fragment.
pub(super) fn unwrap(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    root: &str,
) -> Result<(), Refusal> {
    let found = document
        .operations
        .iter()
        .find(|(known, _)| name.is_none() || known.map(Name::as_str) == name);
    let Some((_, operation)) = found else { return Ok(()) };
    let set = &operation.node.selection_set.node;
    if let [only] = set.items.as_slice()
        && matches!(only.node, Selection::Field(_))
    {
        return Ok(());
    }
    let (mut opened, mut field) = (HashSet::new(), None);
    walk(document, set, &[], &mut opened, &mut |visit| match visit {
        Visit::Fragment(on) if on.as_str() == root => Ok(()),
        Visit::Fragment(_) => Err(Refusal::bad_request(
            "a fragment at the root of a subscription must be on the subscription type",
        )),
        Visit::Field(found, around) => {
            let mut found = found.clone();
            found.node.directives.extend(around.iter().copied().cloned());
            merge(&mut field, found)
        }
    })?;
    let field = field.ok_or_else(one_field)?;
    let opened: HashSet<Name> = opened.into_iter().cloned().collect();
    let items = vec![Positioned::new(Selection::Field(field.clone()), field.pos)];
    replace(document, name, items);
    forget(document, &opened);
    Ok(())
}

fn one_field() -> Refusal {
    Refusal::bad_request("a subscription must have exactly one root field")
}

/// Two mentions of one field are one field that selects what both do.
fn merge(known: &mut Option<Positioned<Field>>, found: Positioned<Field>) -> Result<(), Refusal> {
    let Some(known) = known else {
        *known = Some(found);
        return Ok(());
    };
    let is_same = known.node.response_key().node == found.node.response_key().node
        && known.node.name.node == found.node.name.node
        && known.node.arguments == found.node.arguments
        && known.node.directives.len() == found.node.directives.len()
        && known.node.directives.iter().zip(&found.node.directives).all(|(one, other)| {
            one.node.name.node == other.node.name.node && one.node.arguments == other.node.arguments
        });
    if !is_same {
        return Err(one_field());
    }
    known.node.selection_set.node.items.extend(found.node.selection_set.node.items);
    Ok(())
}

fn replace(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    items: Vec<Positioned<Selection>>,
) {
    let operation = match &mut document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => match name {
            Some(name) => operations.get_mut(name),
            None => operations.values_mut().next(),
        },
    };
    if let Some(operation) = operation {
        operation.node.selection_set.node.items = items;
    }
}

/// Validation refuses fragments that nothing spreads, and the walked ones were.
fn forget(document: &mut ExecutableDocument, opened: &HashSet<Name>) {
    let mut reached = HashSet::new();
    for (_, operation) in document.operations.iter() {
        reach(&operation.node.selection_set.node, document, &mut reached);
    }
    document.fragments.retain(|name, _| reached.contains(name) || !opened.contains(name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql_parser::parse_query;

    fn unwrapped(text: &str) -> Result<(String, usize), String> {
        let mut document = parse_query(text).unwrap();
        unwrap(&mut document, None, "Subscription").map_err(|refusal| refusal.message)?;
        let (_, operation) = document.operations.iter().next().unwrap();
        let [only] = operation.node.selection_set.node.items.as_slice() else {
            panic!("one field is left of {text}")
        };
        let Selection::Field(field) = &only.node else { panic!("a field is left of {text}") };
        let below = field.node.selection_set.node.items.len();
        let directives = field.node.directives.len();
        let name = &field.node.response_key().node;
        Ok((format!("{name} {below} {directives}"), document.fragments.len()))
    }

    #[test]
    fn the_one_root_field_is_found_wherever_it_stands() {
        for (text, field, fragments) in [
            ("subscription { a { x } }", "a 1 0", 0),
            ("subscription { ...F } fragment F on Subscription { a { x } }", "a 1 0", 0),
            ("subscription { ... { a { x } } }", "a 1 0", 0),
            ("subscription { ... on Subscription { a { x } } }", "a 1 0", 0),
            (
                "subscription { ...F } fragment F on Subscription { ...G } fragment G on Subscription { b: a { x ...H } } fragment H on T { y }",
                "b 2 0",
                1,
            ),
            ("subscription { ...F ...F } fragment F on Subscription { a { x } }", "a 1 0", 0),
            ("subscription { a { x } ...F } fragment F on Subscription { a { y } }", "a 2 0", 0),
            (
                "subscription($s: Boolean!) { ...F @skip(if: $s) } fragment F on Subscription { a { x } }",
                "a 1 1",
                0,
            ),
            (
                "subscription { ...F } fragment F on Subscription { a { x } } fragment Unused on T { y }",
                "a 1 0",
                1,
            ),
        ] {
            assert_eq!(unwrapped(text), Ok((field.to_owned(), fragments)), "{text}");
        }
    }

    #[test]
    fn several_root_fields_are_refused_wherever_they_stand() {
        for text in [
            "subscription { a { x } b { x } }",
            "subscription { ...F } fragment F on Subscription { a { x } b { x } }",
            "subscription { a { x } ...F } fragment F on Subscription { b { x } }",
            "subscription { a { x } other: a { x } }",
            "subscription { a(n: 1) { x } a(n: 2) { x } }",
            "subscription { ...F } fragment F on Subscription { ...F }",
            "subscription { ...F } fragment F on Query { a { x } }",
            "subscription { ... on Query { a { x } } }",
            "subscription { ...Nothing }",
        ] {
            assert!(unwrapped(text).is_err(), "{text}");
        }
    }
}
