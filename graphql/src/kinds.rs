//! A set of event types, kept as one number whatever text the client sent.

use claviger_domain::catalogue::current_shapes;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use std::sync::LazyLock;

/// Every event type, in order.
static KNOWN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut kinds: Vec<_> = current_shapes().into_iter().map(|(kind, _)| kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
});

/// Event types, each at most once. No type means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u128);

impl Kinds {
    /// Reads the argument `types`.
    ///
    /// # Errors
    /// `VALIDATION` for a text that is not an event type.
    pub(crate) fn parse(types: Option<&[String]>) -> Result<Self, Failure> {
        types.unwrap_or_default().iter().try_fold(Self::default(), |set, kind| {
            place(kind).map(|place| Self(set.0 | (1 << place))).ok_or_else(|| {
                let message = "types contains a text that is not an event type: \
                               use types of the log, such as \"KeyAdded\"";
                Failure::new(ErrorCode::Validation, message).at(&["types"])
            })
        })
    }

    /// Whether events of a type are wanted. Types that only a newer program knows are wanted when
    /// all are.
    pub(crate) fn wants(self, kind: &str) -> bool {
        self.0 == 0 || place(kind).is_some_and(|place| self.0 & (1 << place) != 0)
    }

    /// The types; none if all are wanted.
    pub(crate) fn names(self) -> Vec<String> {
        let of_set = |(place, _): &(usize, &&str)| self.0 & (1 << *place) != 0;
        KNOWN.iter().enumerate().filter(of_set).map(|(_, kind)| (*kind).to_owned()).collect()
    }
}

fn place(kind: &str) -> Option<usize> {
    KNOWN.binary_search(&kind).ok().filter(|place| *place < 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(types: &[&str]) -> Result<Kinds, ErrorCode> {
        let types: Vec<String> = types.iter().map(|kind| (*kind).to_owned()).collect();
        Kinds::parse(Some(&types)).map_err(|failure| failure.code)
    }

    #[test]
    fn every_event_type_has_a_place_in_the_set() {
        assert!(KNOWN.len() > 40 && KNOWN.len() <= 128, "{}", KNOWN.len());
        for kind in KNOWN.iter() {
            let set = parse(&[kind, kind]).unwrap();
            assert_eq!(set.names(), [*kind]);
            assert!(KNOWN.iter().all(|other| set.wants(other) == (other == kind)));
        }
        let all = parse(&KNOWN).unwrap();
        assert_eq!(all.names(), *KNOWN);
    }

    #[test]
    fn no_type_means_all_and_an_unknown_one_is_refused() {
        for all in [Kinds::parse(None).unwrap(), parse(&[]).unwrap()] {
            assert!(
                all.names().is_empty() && all.wants("KeyAdded") && all.wants("OfANewerProgram")
            );
        }
        assert!(!parse(&["KeyAdded"]).unwrap().wants("OfANewerProgram"));
        for wrong in ["", "keyadded", "KeyAdded ", "OfANewerProgram"] {
            assert_eq!(parse(&["KeyAdded", wrong]), Err(ErrorCode::Validation), "{wrong:?}");
        }
    }
}
