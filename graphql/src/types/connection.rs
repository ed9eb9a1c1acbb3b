//! Cursor pagination, the same for every list: newest first; `first` defaults to 20, at most 100.

use crate::scalars::Cursor;
use async_graphql::SimpleObject;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;

const DEFAULT: usize = 20;
const MOST: usize = 100;

/// The position of a page in its list.
#[derive(Clone, SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether more rows follow after `endCursor`.
    pub(crate) has_next_page: bool,
    /// Whether more rows come before `startCursor`.
    pub(crate) has_previous_page: bool,
    /// Cursor of the first row; null on an empty page.
    pub(crate) start_cursor: Option<Cursor>,
    /// Cursor of the last row; null on an empty page.
    pub(crate) end_cursor: Option<Cursor>,
}

impl PageInfo {
    /// The page of rows with these cursors. `more`: the list continues in the direction of reading.
    /// In the other direction more rows exist exactly when the caller came from there.
    pub(crate) fn of(args: &PageArgs, cursors: &[String], more: bool) -> Self {
        let (has_next_page, has_previous_page) = if args.is_backward() {
            (args.before.is_some(), more)
        } else {
            (more, args.after.is_some())
        };
        Self {
            has_next_page,
            has_previous_page,
            start_cursor: cursors.first().cloned().map(Cursor),
            end_cursor: cursors.last().cloned().map(Cursor),
        }
    }
}

/// The arguments of every connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageArgs {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<Cursor>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<Cursor>,
}

impl PageArgs {
    /// Whether the last rows are requested instead of the first.
    pub(crate) fn is_backward(&self) -> bool {
        self.last.is_some()
    }

    /// Maximum number of rows.
    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        if self.first.is_some() && self.last.is_some() {
            return Err(Failure::new(ErrorCode::Validation, "give first or last, not both"));
        }
        match self.first.or(self.last) {
            None => Ok(DEFAULT),
            Some(asked) => usize::try_from(asked).ok().filter(|limit| *limit <= MOST).ok_or_else(|| {
                Failure::new(
                    ErrorCode::LimitExceeded,
                    format!("first and last must be 0 to {MOST}: request fewer rows and continue from endCursor"),
                )
            }),
        }
    }

    /// Decodes both cursors.
    pub(crate) fn bounds<T>(
        &self,
        read: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<(Option<T>, Option<T>), Failure> {
        let after = self.after.as_ref().map(|cursor| read(&cursor.0)).transpose()?;
        let before = self.before.as_ref().map(|cursor| read(&cursor.0)).transpose()?;
        Ok((after, before))
    }
}
