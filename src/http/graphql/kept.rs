//! What a subscription keeps of its document for its whole life, of which there are thousands: the
//! operation that runs, the fragments that it reaches, and no spare capacity.
//!
//! The text of the document is dropped when execution begins, and variables that no argument uses
//! are refused or dropped before. The library keeps the rest, because it resolves each item with it.

use async_graphql::Name;
use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, Selection, SelectionSet,
};
use std::collections::HashSet;

/// Drops what the operation with this name doesn't need. The document has that operation.
pub(super) fn only(document: &mut ExecutableDocument, name: Option<&str>) {
    // Of a document with one operation, nothing can be dropped: validation refuses fragments that
    // nothing spreads.
    if let DocumentOperations::Multiple(operations) = &mut document.operations
        && operations.len() > 1
        && let Some(operation) = name.and_then(|name| operations.remove(name))
    {
        let mut reached = HashSet::new();
        reach(&operation.node.selection_set.node, document, &mut reached);
        document.fragments.retain(|name, _| reached.contains(name));
        document.operations = DocumentOperations::Single(operation);
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => trim(&mut operation.node.selection_set.node),
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                trim(&mut operation.node.selection_set.node);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        trim(&mut fragment.node.selection_set.node);
    }
}

/// Recursion is safe here and below: the document's depth was checked before.
pub(super) fn reach(
    selections: &SelectionSet,
    document: &ExecutableDocument,
    reached: &mut HashSet<Name>,
) {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => reach(&field.node.selection_set.node, document, reached),
            Selection::InlineFragment(fragment) => {
                reach(&fragment.node.selection_set.node, document, reached);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if let Some(fragment) = document.fragments.get(name)
                    && reached.insert(name.clone())
                {
                    reach(&fragment.node.selection_set.node, document, reached);
                }
            }
        }
    }
}

/// Releases the capacity that the parser reserved.
fn trim(selections: &mut SelectionSet) {
    selections.items.shrink_to_fit();
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => trim(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => trim(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql_parser::parse_query;

    #[test]
    fn only_the_operation_that_runs_and_its_fragments_stay() {
        let text = "subscription A { a { ...F } } query B { b { ...H } } \
                    fragment F on T { c { ... on T { ...G } } } fragment G on T { d } fragment H on T { e }";
        let mut document = parse_query(text).unwrap();
        only(&mut document, Some("A"));
        let DocumentOperations::Single(operation) = &document.operations else {
            panic!("one operation is left")
        };
        assert_eq!(operation.node.selection_set.node.items.len(), 1);
        let mut fragments: Vec<_> = document.fragments.keys().map(Name::as_str).collect();
        fragments.sort_unstable();
        assert_eq!(fragments, ["F", "G"]);
    }
}
