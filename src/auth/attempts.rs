//! How often passwords may be guessed and accounts made. An attempt takes from all its buckets or
//! from none, before the work. When it has ended, what doesn't count is given back.

use super::accounts::AuthConfig;
use crate::limits::rate::{Buckets, MAX_KEYS, refused};
use claviger_application::PeerKey;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Uptime;
use lru::LruCache;
use std::sync::{Mutex, PoisonError};

/// How long a peer is remembered as one from which somebody has signed in by a name: as long as a
/// session that nobody uses.
const KNOWN_MS: u64 = 30 * 24 * 3600 * 1000;

/// Version of the password that an account begins with.
const FIRST_PASSWORD: u32 = 1;

const FAILED: &str = "too many failed attempts";

/// Whose password is tried. An account has a bucket for each of its two names, and not one for both:
/// otherwise a stranger could learn which names are one account's by using up its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The hash of a name that an account has, however it is spelled. Only existing names can push
    /// its bucket out of memory.
    Taken([u8; 32]),
    /// The hash of a name that no account has.
    Free([u8; 32]),
    /// The account of a user who is signed in.
    Own(UserId),
}

/// What is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A password, with the version of it that is valid now; `None` for a text that is too long for
    /// a name, which counts by peer only.
    Password(Option<(Subject, u32)>),
    /// A new account.
    Registration,
}

/// The buckets of one process.
#[derive(Debug)]
pub(super) struct Attempts(Mutex<All>);

#[derive(Debug)]
struct All {
    failed_by_peer: Buckets<PeerKey>,
    failed_by_pair: Buckets<(PeerKey, Subject)>,
    failed_by_taken: Buckets<[u8; 32]>,
    failed_by_free: Buckets<[u8; 32]>,
    failed_by_own: Buckets<UserId>,
    failed_registrations: Buckets<PeerKey>,
    sign_ins: Buckets<PeerKey>,
    registrations: Buckets<PeerKey>,
    /// From where each password was right, when last, and its version: a thief's address is not
    /// known any more once the password was changed.
    known: LruCache<(PeerKey, Subject), (Uptime, u32)>,
}

/// An attempt in progress. One that is dropped, because its client left or the store failed, counts
/// as failed and as done.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    peer: PeerKey,
    what: What,
    is_known: bool,
}

/// One key's bucket.
trait Bucket {
    fn wait_ms(&mut self, now: Uptime) -> u64;
    fn take(&mut self, now: Uptime);
    fn give_back(&mut self);
}

impl<K: std::hash::Hash + Eq + Copy> Bucket for (&mut Buckets<K>, K) {
    fn wait_ms(&mut self, now: Uptime) -> u64 {
        self.0.wait_ms(&self.1, now)
    }

    fn take(&mut self, now: Uptime) {
        self.0.take(self.1, now);
    }

    fn give_back(&mut self) {
        self.0.give_back(&self.1);
    }
}

type Found<'a> = Vec<Box<dyn Bucket + 'a>>;

impl All {
    /// The buckets of failures, that of the peer first.
    fn failures(&mut self, peer: PeerKey, what: What, is_known: bool) -> Found<'_> {
        let mut found: Found<'_> = vec![Box::new((&mut self.failed_by_peer, peer))];
        match what {
            What::Registration => found.push(Box::new((&mut self.failed_registrations, peer))),
            What::Password(None) => {}
            What::Password(Some((subject, _))) => {
                found.push(Box::new((&mut self.failed_by_pair, (peer, subject))));
                match subject {
                    Subject::Taken(_) | Subject::Own(_) if is_known => {}
                    Subject::Taken(hash) => found.push(Box::new((&mut self.failed_by_taken, hash))),
                    Subject::Free(hash) => found.push(Box::new((&mut self.failed_by_free, hash))),
                    Subject::Own(user) => found.push(Box::new((&mut self.failed_by_own, user))),
                }
            }
        }
        found
    }

    /// The bucket of what succeeds, and what there was too much of. Scripts and tests on this
    /// machine have none.
    fn successes(&mut self, peer: PeerKey, what: What) -> Option<(Box<dyn Bucket + '_>, &str)> {
        if peer.is_local {
            return None;
        }
        Some(match what {
            What::Registration => (
                Box::new((&mut self.registrations, peer)),
                "too many registrations from your network",
            ),
            What::Password(_) => {
                (Box::new((&mut self.sign_ins, peer)), "too many sign-ins from your network")
            }
        })
    }

    fn is_known(&mut self, peer: PeerKey, what: What, now: Uptime) -> bool {
        let What::Password(Some((subject, version))) = what else { return false };
        let known = self.known.get(&(peer, subject));
        known.is_some_and(|(at, of)| now.ms_since(*at) <= KNOWN_MS && *of == version)
    }

    /// How long to wait, and why.
    fn refusal(&mut self, peer: PeerKey, what: What, now: Uptime) -> Option<(&str, u64)> {
        let is_known = self.is_known(peer, what, now);
        let mut failures = self.failures(peer, what, is_known);
        let wait_ms = failures.iter_mut().map(|bucket| bucket.wait_ms(now)).find(|ms| *ms > 0);
        drop(failures);
        if let Some(wait_ms) = wait_ms {
            return Some((FAILED, wait_ms));
        }
        let (mut bucket, why) = self.successes(peer, what)?;
        let ms = bucket.wait_ms(now);
        (ms > 0).then_some((why, ms))
    }
}

impl Attempts {
    pub(super) fn new(config: &AuthConfig) -> Self {
        // What an account has is divided: two parts for each of its names, one for changes of the
        // password by whoever is signed in.
        let part = (config.attempts_per_account / 5).max(1);
        Self(Mutex::new(All {
            failed_by_peer: Buckets::new(config.attempts_per_peer, 1_000),
            failed_by_pair: Buckets::new(config.attempts_per_pair, 6_000),
            failed_by_taken: Buckets::new(2 * part, 5 * 18_000),
            failed_by_free: Buckets::new(2 * part, 5 * 18_000),
            failed_by_own: Buckets::new(part, 5 * 36_000),
            failed_registrations: Buckets::new(config.attempts_per_pair, 6_000),
            sign_ins: Buckets::per(config.sign_ins_per_minute, 60_000),
            registrations: Buckets::per(config.registrations_per_hour, 3_600_000),
            known: LruCache::new(MAX_KEYS),
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a peer that has no attempt left, before anything is looked up for it. Takes nothing.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub(super) fn admit(&self, peer: PeerKey, now: Uptime) -> Result<(), Failure> {
        match self.lock().refusal(peer, What::Password(None), now) {
            None => Ok(()),
            Some((why, ms)) => Err(refused(why, ms)),
        }
    }

    /// Takes an attempt from all its buckets, or from none. Taken before the check, so that
    /// concurrent guesses count too.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub(super) fn begin(
        &self,
        peer: PeerKey,
        what: What,
        now: Uptime,
    ) -> Result<Attempt<'_>, Failure> {
        let mut all = self.lock();
        if let Some((why, ms)) = all.refusal(peer, what, now) {
            return Err(refused(why, ms));
        }
        let is_known = all.is_known(peer, what, now);
        all.failures(peer, what, is_known).iter_mut().for_each(|bucket| bucket.take(now));
        if let Some((mut bucket, _)) = all.successes(peer, what) {
            bucket.take(now);
        }
        drop(all);
        Ok(Attempt { attempts: self, peer, what, is_known })
    }
}

impl Attempt<'_> {
    /// The password was right: there was no failure, and guesses of others at this name keep nobody
    /// out who comes from here.
    pub(super) fn succeeded(self, now: Uptime) {
        let known = if let What::Password(known) = self.what { known } else { None };
        self.done(known, now);
    }

    /// The account was made, with these names.
    pub(super) fn registered(self, names: [[u8; 32]; 2], now: Uptime) {
        self.done(names.map(|hash| (Subject::Taken(hash), FIRST_PASSWORD)), now);
    }

    fn done(self, known: impl IntoIterator<Item = (Subject, u32)>, now: Uptime) {
        let mut all = self.attempts.lock();
        let Self { peer, what, is_known, .. } = self;
        all.failures(peer, what, is_known).iter_mut().for_each(|bucket| bucket.give_back());
        for (subject, version) in known {
            all.known.put((peer, subject), (now, version));
        }
    }

    /// The password was wrong, or the account was not made: nothing was done.
    pub(super) fn failed(self) {
        let mut all = self.attempts.lock();
        if let Some((mut bucket, _)) = all.successes(self.peer, self.what) {
            bucket.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::code::ErrorCode;
    use uuid::Uuid;

    const NOW: Uptime = Uptime(1_760_000_000_000);
    const ADA: Subject = Subject::Taken([1; 32]);
    const HER_ADDRESS: Subject = Subject::Taken([2; 32]);

    fn attempts() -> Attempts {
        let config = AuthConfig {
            attempts_per_pair: 2,
            attempts_per_peer: 4,
            attempts_per_account: 10,
            registrations_per_hour: 2,
            sign_ins_per_minute: 3,
            ..AuthConfig::default()
        };
        Attempts::new(&config)
    }

    fn peer(network: u128) -> PeerKey {
        PeerKey { network, is_local: false }
    }

    fn at(subject: Subject) -> What {
        What::Password(Some((subject, 1)))
    }

    fn nobody(n: u8) -> What {
        at(Subject::Free([n; 32]))
    }

    fn fails(attempts: &Attempts, from: u128, what: What) -> bool {
        attempts.begin(peer(from), what, NOW).map(Attempt::failed).is_ok()
    }

    fn sizes(attempts: &Attempts) -> [usize; 4] {
        let all = attempts.lock();
        let names = all.failed_by_taken.len() + all.failed_by_free.len();
        [all.failed_by_peer.len(), all.failed_by_pair.len(), names, all.sign_ins.len()]
    }

    #[test]
    fn a_refused_attempt_takes_from_no_bucket_and_adds_no_key() {
        let attempts = attempts();
        for n in 0..4 {
            assert!(fails(&attempts, 1, nobody(n)));
        }
        let before = sizes(&attempts);
        for n in 4..100 {
            let refused = attempts.begin(peer(1), nobody(n), NOW).err().unwrap();
            assert_eq!(refused.code, ErrorCode::RateLimited);
        }
        assert_eq!(sizes(&attempts), before);
        assert!(attempts.admit(peer(1), NOW).is_err() && attempts.admit(peer(2), NOW).is_ok());
        // The pair is refused by the name, and is as full as before once the name has room.
        for from in 2..6 {
            assert!(fails(&attempts, from, at(ADA)));
        }
        for _ in 0..10 {
            assert!(!fails(&attempts, 9, at(ADA)));
        }
        assert!(attempts.begin(peer(9), at(ADA), NOW.plus_ms(90_000)).is_ok());
    }

    #[test]
    fn what_an_account_has_is_divided_and_one_name_says_nothing_of_the_other() {
        let attempts = attempts();
        let own = Subject::Own(UserId(Uuid::from_u128(1)));
        for (subject, most) in [(ADA, 4), (HER_ADDRESS, 4), (own, 2), (Subject::Free([3; 32]), 4)] {
            let passed = (10..30).filter(|from| fails(&attempts, *from, at(subject))).count();
            assert_eq!(passed, most, "{subject:?}");
        }
    }

    #[test]
    fn whoever_has_registered_from_there_is_known_by_both_names() {
        let attempts = attempts();
        attempts
            .begin(peer(1), What::Registration, NOW)
            .unwrap()
            .registered([[1; 32], [2; 32]], NOW);
        for subject in [ADA, HER_ADDRESS] {
            for from in 10..14 {
                assert!(fails(&attempts, from, at(subject)));
            }
            assert!(!fails(&attempts, 14, at(subject)) && fails(&attempts, 1, at(subject)));
        }
    }

    #[test]
    fn a_name_that_is_too_long_counts_by_peer_only() {
        let attempts = attempts();
        assert!(fails(&attempts, 1, What::Password(None)));
        assert_eq!(sizes(&attempts), [1, 0, 0, 1]);
    }

    #[test]
    fn guesses_of_others_do_not_keep_a_user_out_who_has_signed_in_from_there() {
        let attempts = attempts();
        attempts.begin(peer(1), at(ADA), NOW).unwrap().succeeded(NOW);
        for from in 2..6 {
            assert!(fails(&attempts, from, at(ADA)));
        }
        assert!(!fails(&attempts, 9, at(ADA)), "a stranger's address is refused");
        attempts.begin(peer(1), at(ADA), NOW).unwrap().succeeded(NOW);
        // It is no licence to guess: the limit of the pair is there.
        assert!(fails(&attempts, 1, at(ADA)) && fails(&attempts, 1, at(ADA)));
        assert!(!fails(&attempts, 1, at(ADA)));
        let changed = What::Password(Some((ADA, 2)));
        assert!(!fails(&attempts, 1, changed), "the password is another one since");
        let later = NOW.plus_ms(KNOWN_MS + 1);
        assert!(!attempts.lock().is_known(peer(1), at(ADA), later), "forgotten");
    }

    #[test]
    fn successes_are_limited_but_for_clients_of_this_machine() {
        let attempts = attempts();
        let local = PeerKey { network: 1, is_local: true };
        for (what, most) in [(at(ADA), 3), (What::Registration, 2)] {
            for n in 0..10 {
                let attempt = attempts.begin(peer(1), what, NOW).map(|one| one.succeeded(NOW));
                assert_eq!(attempt.is_ok(), n < most, "{what:?} {n}");
                attempts.begin(local, what, NOW).unwrap().succeeded(NOW);
            }
        }
        // What failed was none.
        assert!(fails(&attempts, 2, at(ADA)) && fails(&attempts, 2, at(ADA)));
        assert!(attempts.begin(peer(2), at(HER_ADDRESS), NOW).is_ok());
    }

    #[test]
    fn an_attempt_whose_client_leaves_counts_in_every_way() {
        let attempts = attempts();
        for _ in 0..2 {
            let _left = attempts.begin(peer(1), What::Registration, NOW).unwrap();
        }
        assert!(attempts.begin(peer(1), What::Registration, NOW).is_err());
    }
}
