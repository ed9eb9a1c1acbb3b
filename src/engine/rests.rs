//! What rests after a rate limit, and until when. A limit belongs to an organisation and a family of
//! models, where the upstream names the organisation; else to the key. No IO.

use super::queue::Lane;
use std::collections::HashMap;

/// What a limit belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Limited {
    /// A key, with all models.
    Lane(Lane),
    /// An organisation, with models of this family.
    Organization(String, String),
}

/// What is known of a credential.
#[derive(Debug, Default)]
struct Known {
    /// The organisation that it belongs to, by its newest answer.
    organization: Option<String>,
    /// What older versions of its secret meet concerns it no more.
    version: Option<u32>,
}

/// The rests of a process.
#[derive(Debug, Default)]
pub(super) struct Rests {
    known: HashMap<Lane, Known>,
    /// In milliseconds of the timer.
    until_ms: HashMap<Limited, u64>,
}

impl Rests {
    /// A call with this version of the credential's secret was answered in the name of an
    /// organisation. The first such call was made without regard to what the organisation met: its
    /// success ends that.
    pub(super) fn learn(&mut self, (lane, version): (Lane, Option<u32>), organization: &str) {
        if self.belongs((lane, version), organization) {
            self.ends(organization);
        }
    }

    /// Returns whether that is new.
    fn belongs(&mut self, (lane, version): (Lane, Option<u32>), organization: &str) -> bool {
        let known = self.known.entry(lane).or_default();
        let is_new =
            version >= known.version && known.organization.as_deref() != Some(organization);
        if is_new {
            known.organization = Some(organization.to_owned());
        }
        is_new
    }

    fn ends(&mut self, organization: &str) {
        self.until_ms.retain(
            |limited, _| !matches!(limited, Limited::Organization(of, _) if of == organization),
        );
    }

    /// A limit was hit. Returns whether something rests longer than before.
    pub(super) fn rest(
        &mut self,
        (lane, version): (Lane, Option<u32>),
        organization: Option<&str>,
        model: &str,
        until_ms: u64,
    ) -> bool {
        if self.known.get(&lane).is_some_and(|known| known.version > version) {
            return false;
        }
        let limited = organization.map_or(Limited::Lane(lane), |organization| {
            self.belongs((lane, version), organization);
            Limited::Organization(organization.to_owned(), family(model))
        });
        let until = self.until_ms.entry(limited).or_default();
        let is_longer = until_ms > *until;
        *until = until_ms.max(*until);
        is_longer
    }

    /// Until when a call with this credential and model rests.
    pub(super) fn of(&self, lane: Lane, family: &str) -> u64 {
        let of = |limited| self.until_ms.get(&limited).copied().unwrap_or_default();
        let organization = self.known.get(&lane).and_then(|known| known.organization.clone());
        let shared = organization
            .map(|organization| of(Limited::Organization(organization, family.to_owned())));
        of(Limited::Lane(lane)).max(shared.unwrap_or_default())
    }

    /// The credential has a new secret, or a call with it has just succeeded: what it met before is
    /// over, and so is what its organisation met, which a success says as much about.
    pub(super) fn freshen(&mut self, lane: Lane, version: Option<u32>) {
        let known = self.known.entry(lane).or_default();
        let is_new = version > known.version;
        known.version = version.max(known.version);
        let organization = known.organization.clone();
        self.until_ms.remove(&Limited::Lane(lane));
        if is_new {
            // Whose the new secret is will be seen from its first answer.
            known.organization = None;
        } else if let Some(organization) = organization {
            self.ends(&organization);
        }
    }

    /// Everything that rests may be called again: what ended a rest was missed.
    pub(super) fn clear(&mut self) {
        self.until_ms.clear();
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now_ms: u64) {
        self.until_ms.retain(|_, until| *until > now_ms);
    }
}

/// The models that share their limits: those of a name and a major version. An id of another form is
/// its own family.
pub(super) fn family(model: &str) -> String {
    let parts: Vec<_> = model.split('-').collect();
    let is_number = |part: &&&str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_name =
        |part: &&&str| part.len() > 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let [maker, rest @ ..] = parts.as_slice() else { return model.to_owned() };
    match (rest.iter().find(is_name), rest.iter().find(is_number)) {
        (Some(name), Some(major)) => format!("{maker}-{name}-{major}"),
        _ => model.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::id::KeyId;
    use uuid::Uuid;

    const KEY: Lane = Lane::Key(KeyId(Uuid::from_u128(1)));
    const OTHER: Lane = Lane::Key(KeyId(Uuid::from_u128(2)));
    const OPUS: &str = "claude-opus-4-5";

    #[test]
    fn models_of_a_name_and_a_major_version_are_a_family() {
        for (model, expected) in [
            ("claude-opus-4-5-20251101", "claude-opus-4"),
            ("claude-opus-4-1", "claude-opus-4"),
            ("claude-sonnet-4-5", "claude-sonnet-4"),
            ("claude-3-5-haiku-20241022", "claude-haiku-3"),
            ("claude-haiku-4-5", "claude-haiku-4"),
            ("claude-next", "claude-next"),
            ("model", "model"),
            ("", ""),
        ] {
            assert_eq!(family(model), expected, "{model}");
        }
    }

    #[test]
    fn a_limit_belongs_to_the_organisation_and_the_family_where_they_are_named() {
        let mut rests = Rests::default();
        assert!(rests.rest((KEY, Some(1)), Some("org"), OPUS, 9));
        assert_eq!(rests.of(KEY, "claude-opus-4"), 9);
        assert_eq!(rests.of(KEY, "claude-haiku-4"), 0);
        assert_eq!(rests.of(OTHER, "claude-opus-4"), 0, "whose it is isn't known");
        rests.learn((OTHER, Some(1)), "org");
        assert_eq!(rests.of(KEY, "claude-opus-4"), 0, "a call of the organisation succeeded");
        assert!(rests.rest((KEY, Some(1)), Some("org"), OPUS, 9));
        rests.learn((OTHER, Some(1)), "org");
        assert_eq!(rests.of(OTHER, "claude-opus-4"), 9);
        assert!(!rests.rest((KEY, Some(1)), Some("org"), OPUS, 8), "no longer than before");
        rests.forget(9);
        assert_eq!(rests.of(KEY, "claude-opus-4"), 0);
        assert!(rests.rest((KEY, Some(1)), None, OPUS, 9));
        assert_eq!([KEY, OTHER].map(|lane| rests.of(lane, "claude-haiku-4")), [9, 0]);
    }

    #[test]
    fn a_new_secret_starts_afresh_and_its_predecessor_no_longer_counts() {
        for organization in [None, Some("org")] {
            let mut rests = Rests::default();
            rests.learn((OTHER, None), "org");
            rests.rest((KEY, Some(1)), organization, OPUS, 9);
            rests.freshen(KEY, Some(2));
            assert_eq!(rests.of(KEY, "claude-opus-4"), 0);
            assert!(!rests.rest((KEY, Some(1)), organization, OPUS, 9), "the old secret's call");
            assert_eq!(rests.of(KEY, "claude-opus-4"), 0);
            let others = if organization.is_some() { 9 } else { 0 };
            assert_eq!(rests.of(OTHER, "claude-opus-4"), others, "others rest on");
            rests.rest((KEY, Some(2)), organization, OPUS, 9);
            assert_eq!(rests.of(KEY, "claude-opus-4"), 9);
            rests.freshen(KEY, Some(2));
            assert_eq!(rests.of(KEY, "claude-opus-4"), 0, "a test that succeeded");
        }
    }
}
