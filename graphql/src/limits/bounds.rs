//! The bounds, and the refusals that name them.

use claviger_domain::code::ErrorCode;

/// The bounds of one request. Every bound is inclusive: a query of depth 15 passes a limit of 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lexical tokens of the document: names, punctuators, numbers, strings.
    pub tokens: usize,
    /// Brackets of any kind open at once, and fragments spread within each other. Protects the
    /// parser's stack.
    pub nesting: usize,
    /// Depth of fields within fields, introspection exempt.
    pub depth: usize,
    /// Aliases, counted once for each spread of their fragment.
    pub aliases: usize,
    /// Fields at the root of the operation.
    pub root_fields: usize,
    /// Directives, counted once for each spread of their fragment.
    pub directives: usize,
    /// Points of the fields, introspection exempt: one for a plain field, more for one that reads or
    /// returns much. Fields below a list count once for each requested item, and items of list
    /// arguments count one each. The operations of a batch share it.
    pub complexity: u64,
    /// Selections of the whole document with all fragments expanded, introspection included: the
    /// work of validation.
    pub selections: u64,
    /// Lists within lists of introspection (`fields { type { fields … } }`): each level multiplies
    /// the response by the size of the schema.
    pub introspection_lists: usize,
    /// Fields of introspection, those below a list once for each item of this schema, about. The
    /// operations of a batch share it.
    pub introspection_points: u64,
    /// Bytes of a name: fields, aliases, variables. An alias stands in the answer once for each item.
    pub name_bytes: usize,
    /// Bytes of a document with a subscription, which is kept as long as the subscription.
    pub subscription_bytes: usize,
    /// Whether `__schema` and `__type` are allowed.
    pub introspection: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tokens: 10_000,
            nesting: 64,
            depth: 15,
            aliases: 30,
            root_fields: 20,
            directives: 50,
            complexity: 5_000,
            selections: 20_000,
            introspection_lists: 2,
            introspection_points: 200_000,
            name_bytes: 128,
            subscription_bytes: 16 * 1024,
            introspection: true,
        }
    }
}

/// What the operations of a request cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Points of fields.
    pub points: u64,
    /// Points of introspection.
    pub introspection: u64,
}

impl Cost {
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            points: self.points.max(other.points),
            introspection: self.introspection.max(other.introspection),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            points: self.points.saturating_add(other.points),
            introspection: self.introspection.saturating_add(other.introspection),
        }
    }
}

/// Why a document was refused before execution. The message contains names of bounds, never text of
/// the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LimitError {
    /// `LIMIT_EXCEEDED`, or the code for another fault in the document's shape.
    pub code: ErrorCode,
    /// Names the bound and the value, for the client.
    pub message: String,
}

impl Limits {
    /// Adds the cost of the next operation of a batch.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when the operations of the batch together cost too much.
    pub fn add(&self, before: Cost, cost: Cost) -> Result<Cost, LimitError> {
        let sum = before.plus(cost);
        let refuse = |bound: &str, value: u64, limit: u64| LimitError {
            code: ErrorCode::LimitExceeded,
            message: format!(
                "the requests of this batch reach {value} {bound}, and the limit is {limit}: send them in several batches"
            ),
        };
        if sum.points > self.complexity {
            return Err(refuse("complexity points", sum.points, self.complexity));
        }
        if sum.introspection > self.introspection_points {
            let limit = self.introspection_points;
            return Err(refuse("points of introspection", sum.introspection, limit));
        }
        Ok(sum)
    }

    /// Checks the length of a document with a subscription.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the length and the bound.
    pub fn check_subscription(&self, query: &str) -> Result<(), LimitError> {
        within("bytes of a subscription", query.len(), self.subscription_bytes)
    }
}

impl LimitError {
    pub(super) fn exceeded(bound: &str, value: impl Into<u64>, limit: impl Into<u64>) -> Self {
        let (value, limit) = (value.into(), limit.into());
        Self {
            code: ErrorCode::LimitExceeded,
            message: format!(
                "the query's {bound} reach {value}, and the limit is {limit}: request less, or split the query"
            ),
        }
    }

    pub(super) fn circular() -> Self {
        Self {
            code: ErrorCode::BadRequest,
            message: "a fragment spreads itself, directly or through others".to_owned(),
        }
    }

    pub(super) fn unterminated_string() -> Self {
        Self {
            code: ErrorCode::BadRequest,
            message: "syntax error: a string does not end".to_owned(),
        }
    }

    pub(super) fn introspection_off() -> Self {
        Self {
            code: ErrorCode::Forbidden,
            message: "introspection is disabled on this server".to_owned(),
        }
    }
}

/// Refuses a count that exceeds its bound.
pub(super) fn within(bound: &str, value: usize, limit: usize) -> Result<(), LimitError> {
    if value > limit {
        Err(LimitError::exceeded(bound, value as u64, limit as u64))
    } else {
        Ok(())
    }
}
