//! Values whose size a user's texts decide.

use super::AnswerBudget;
use super::size::JsonSize;
use crate::context::fault;
use crate::error::top_level;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    Context, ContextSelectionSet, Error, OutputType, Positioned, ServerResult, Value,
};
use std::borrow::Cow;

/// Bytes of a field besides its name and value: quotes, colon, comma.
const FIELD: usize = 8;

/// Bytes of a value that no text decides: a number, a time, an id.
const VALUE: usize = 32;

/// A text or a JSON value that is charged to the answer's budget before it is copied into the
/// answer. In the schema it is a plain `String` or `JSON`.
#[derive(Clone, Debug)]
pub(crate) struct Heavy<T>(pub(crate) T);

impl<T: OutputType + JsonSize> OutputType for Heavy<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        if let Some(budget) = ctx.data_opt::<AnswerBudget>() {
            budget.turn().await;
            budget.charge(self.0.json_size()).map_err(|failure| {
                ctx.set_error_path(top_level(&failure).into_server_error(field.pos))
            })?;
        }
        self.0.resolve(ctx, field).await
    }
}

/// The budget of the answer. Fails if it is exceeded.
pub(crate) fn budget<'a>(ctx: &Context<'a>) -> Result<&'a AnswerBudget, Error> {
    let budget = ctx.data::<AnswerBudget>()?;
    budget.open().map_err(fault)?;
    Ok(budget)
}

/// Waits for the operation's turn, before something large is built for the answer. Fails if the
/// answer is too large already.
pub(crate) async fn turn<'a>(ctx: &Context<'a>) -> Result<&'a AnswerBudget, Error> {
    budget(ctx)?.turn().await;
    budget(ctx)
}

/// Charges the fields of a list whose length the schema does not bound.
pub(crate) fn list(ctx: &Context<'_>, items: usize) -> Result<(), Error> {
    let fields: usize = width(ctx.field());
    budget(ctx)?.charge(items.saturating_mul(fields)).map_err(fault)
}

/// Bytes of the fields below a field, texts not counted.
fn width(field: async_graphql::SelectionField<'_>) -> usize {
    field
        .selection_set()
        .map(|below| {
            below.alias().unwrap_or_else(|| below.name()).len() + FIELD + VALUE + width(below)
        })
        .sum()
}
