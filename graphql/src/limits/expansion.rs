//! Measures the size of a document with its fragments expanded, without expanding them: every
//! fragment is measured once.
//!
//! Thirty fragments that each spread the next one twice are a short text and a billion selections.
//! Measuring is linear in the text, so it runs before everything that walks the expansion: our own
//! pass and the library's validation.

use super::bounds::{LimitError, Limits, within};
use async_graphql::Name;
use async_graphql_parser::types::{ExecutableDocument, Selection, SelectionSet};
use std::collections::HashMap;

pub(super) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), LimitError> {
    let mut scale = Scale { document, limits, weighed: HashMap::new() };
    let mut total = 0_u64;
    let mut add = |size: u64| {
        total = total.saturating_add(size);
        if total > limits.selections {
            return Err(LimitError::exceeded(
                "selections, fragments expanded,",
                total,
                limits.selections,
            ));
        }
        Ok(())
    };
    for (_, operation) in document.operations.iter() {
        add(scale.set(&operation.node.selection_set.node, 0)?.size)?;
    }
    // Validation also visits fragments that nothing spreads.
    for name in document.fragments.keys() {
        add(scale.fragment(name, 0)?.size)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Weight {
    /// Number of selections below, expanded.
    size: u64,
    /// Nesting of selection sets, spreads included.
    height: usize,
}

struct Scale<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// `None` while a fragment is being measured: meeting it again means that it spreads itself.
    weighed: HashMap<&'a str, Option<Weight>>,
}

impl<'a> Scale<'a> {
    fn set(&mut self, set: &'a SelectionSet, above: usize) -> Result<Weight, LimitError> {
        within("nested selections", above, self.limits.nesting)?;
        let mut total = Weight::default();
        for selection in &set.items {
            let below = match &selection.node {
                Selection::Field(field) => self.set(&field.node.selection_set.node, above + 1)?,
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, above + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, above + 1)?
                }
            };
            total.size = total.size.saturating_add(1).saturating_add(below.size);
            total.height = total.height.max(below.height + 1);
        }
        Ok(total)
    }

    /// An unknown fragment has no weight: validation reports it.
    fn fragment(&mut self, name: &Name, above: usize) -> Result<Weight, LimitError> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Weight::default());
        };
        let weight = match self.weighed.get(name.as_str()) {
            Some(Some(weight)) => *weight,
            Some(None) => return Err(LimitError::circular()),
            None => {
                self.weighed.insert(name.as_str(), None);
                let weight = self.set(&fragment.node.selection_set.node, above)?;
                self.weighed.insert(name.as_str(), Some(weight));
                weight
            }
        };
        within("nested selections", above + weight.height, self.limits.nesting)?;
        Ok(weight)
    }
}
