//! Properties that hold for every key, place and text.

use crate::support::{Counter, KEY, OTHER, OWNER, RING, api_key};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_vault::*;
use proptest::prelude::*;
use uuid::Uuid;

/// The error for a flipped bit in each part of a box.
fn answer_to_flip(at: usize) -> VaultError {
    match at {
        0 => VaultError::Malformed("a sealed box must begin with 0x01"),
        1..57 => VaultError::WrongKey,
        _ => VaultError::Tampered,
    }
}

fn flipped(sealed: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut sealed = sealed.to_vec();
    sealed[at] ^= 1 << bit;
    sealed
}

fn error<T>(result: Result<T, VaultError>) -> VaultError {
    result.err().expect("it opened")
}

fn user_id() -> impl Strategy<Value = UserId> {
    any::<u128>().prop_map(|id| UserId(Uuid::from_u128(id)))
}

fn stream_name() -> impl Strategy<Value = StreamName> {
    (0..5, any::<u128>()).prop_map(|(kind, id)| {
        let id = Uuid::from_u128(id);
        match kind {
            0 => StreamName::Account(UserId(id)),
            1 => StreamName::KeyRing(UserId(id)),
            2 => StreamName::Run(id),
            3 => StreamName::RunControl(id),
            _ => StreamName::System,
        }
    })
}

/// Every place that differs from `ad` in one field.
fn elsewhere<'a>(ad: &ContentAd<'a>) -> Vec<ContentAd<'a>> {
    vec![
        ContentAd { owner: OTHER, ..*ad },
        ContentAd { stream: StreamName::Account(OWNER), ..*ad },
        ContentAd { version: ad.version ^ 1, ..*ad },
        ContentAd { kind: "Elsewhere", ..*ad },
        ContentAd { schema: ad.schema ^ 1, ..*ad },
    ]
}

proptest! {
    #[test]
    fn content_opens_in_its_own_place_and_nowhere_else(
        owner in user_id(), stream in stream_name(), version: u64, schema: u32, kind in "[A-Z][a-z]{0,20}",
        json in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let entropy = Counter::default();
        let (key, other) = (ContentKey::generate(&entropy), ContentKey::generate(&entropy));
        let ad = ContentAd { owner, stream, version, kind: &kind, schema };
        let boxes = seal_content(&key, &ad, &json, &entropy).unwrap();
        prop_assert_eq!(boxes.len(), 1);
        prop_assert_eq!(&*open_content(&key, &ad, &boxes).unwrap(), &json);
        prop_assert_eq!(error(open_content(&other, &ad, &boxes)), VaultError::WrongKey);
        for ad in elsewhere(&ad) {
            prop_assert_eq!(error(open_content(&key, &ad, &boxes)), VaultError::Tampered);
        }
    }

    #[test]
    fn any_flipped_bit_is_detected(json in proptest::collection::vec(any::<u8>(), 0..80), bit in 0_u8..8) {
        let entropy = Counter::default();
        let key = ContentKey::generate(&entropy);
        let ad = ViewAd { owner: OWNER, stream: RING, view: "keys", row: KEY.0 };
        let sealed = seal_view(&key, &ad, &json, &entropy).unwrap();
        for at in 0..sealed.len() {
            prop_assert_eq!(error(open_view(&key, &ad, &flipped(&sealed, at, bit))), answer_to_flip(at));
        }
    }

    #[test]
    fn any_truncation_is_detected(json in proptest::collection::vec(any::<u8>(), 0..40)) {
        let entropy = Counter::default();
        let key = ContentKey::generate(&entropy);
        let ad = ViewAd { owner: OWNER, stream: RING, view: "keys", row: KEY.0 };
        let sealed = seal_view(&key, &ad, &json, &entropy).unwrap();
        for len in 0..sealed.len() {
            let found = error(open_view(&key, &ad, &sealed[..len]));
            prop_assert_eq!(matches!(found, VaultError::Malformed(_)), len < OVERHEAD, "{} bytes: {}", len, found);
            prop_assert!(len < OVERHEAD || found == VaultError::Tampered);
        }
    }

    #[test]
    fn a_secret_opens_only_for_its_owner_key_and_version(rest in "[A-Za-z0-9_-]{1,120}", version: u32) {
        let entropy = Counter::default();
        let data_key = DataKey::generate(&entropy);
        let secret = api_key(&format!("sk-ant-x{rest}"));
        let sealed = seal_secret(&data_key, &secret, OWNER, KEY, version, &entropy).unwrap();
        prop_assert!(open_secret(&data_key, OWNER, KEY, version, &sealed).unwrap().expose() == secret.expose());
        let elsewhere = [
            (OTHER, KEY, version), (OWNER, KeyId(OTHER.0), version),
            (OWNER, KEY, version.wrapping_add(1)), (OWNER, KEY, version.wrapping_sub(1)),
        ];
        for (owner, key, version) in elsewhere {
            prop_assert_eq!(error(open_secret(&data_key, owner, key, version, &sealed)), VaultError::Tampered);
        }
        prop_assert_eq!(error(open_secret(&DataKey::generate(&entropy), OWNER, KEY, version, &sealed)), VaultError::WrongKey);
    }

    #[test]
    fn arbitrary_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..300), proper: bool) {
        let mut bytes = bytes;
        if let (Some(first), true) = (bytes.first_mut(), proper) {
            *first = 1;
        }
        let entropy = Counter::default();
        let kek = Kek::generate(&entropy);
        let id = kek.id();
        let keks = KekSet::new(vec![kek]).unwrap();
        let (user, content, data) =
            (UserKey::generate(&entropy), ContentKey::generate(&entropy), DataKey::generate(&entropy));
        let ad = ContentAd { owner: OWNER, stream: RING, version: 1, kind: "KeyAdded", schema: 1 };
        let view = ViewAd { owner: OWNER, stream: RING, view: "keys", row: KEY.0 };
        let data_ad = DataKeyAd { owner: OWNER, key: KEY, secret_version: 1, user_key_version: 1 };
        let found = [
            error(unwrap_user_key(&keks, id, OWNER, 1, &bytes)),
            error(unwrap_store_index_key(&keks, id, &bytes)),
            error(open_canary(keks.current(), &bytes)),
            error(unwrap_index_key(&user, OWNER, 1, &bytes)),
            error(unwrap_content_key(&user, OWNER, RING, 1, &bytes)),
            error(unwrap_data_key(&user, &data_ad, &bytes)),
            error(open_credential(&user, &credential_ad(OWNER, 1, 1), &bytes)),
            error(open_secret(&data, OWNER, KEY, 1, &bytes)),
            error(open_content(&content, &ad, std::slice::from_ref(&bytes))),
            error(open_view(&content, &view, &bytes)),
        ];
        let proper = bytes.len() >= OVERHEAD && bytes[0] == 1;
        for found in found {
            prop_assert_eq!(found == VaultError::WrongKey, proper);
            prop_assert_eq!(matches!(found, VaultError::Malformed(_)), !proper);
        }
    }

    #[test]
    fn arguments_of_a_hash_never_run_together(a in "[a-c]{0,4}", b in "[a-c]{0,4}", c in "[a-c]{0,4}", d in "[a-c]{0,4}") {
        let entropy = Counter::default();
        let (key, other) = (IndexKey::generate(&entropy), IndexKey::generate(&entropy));
        prop_assert_eq!(key.command_id(&a, &b) == key.command_id(&c, &d), (&a, &b) == (&c, &d));
        prop_assert_eq!(key.request_hash(&a, b.as_bytes()) == key.request_hash(&c, d.as_bytes()), (&a, &b) == (&c, &d));
        prop_assert_eq!(key.context_tag(&a) == key.context_tag(&b), a == b);
        prop_assert_ne!(key.context_tag(&a), other.context_tag(&a));
    }
}

#[test]
fn a_wrap_opens_only_for_its_owner_stream_and_versions() {
    let entropy = Counter::default();
    let keks = KekSet::new(vec![Kek::generate(&entropy), Kek::generate(&entropy)]).unwrap();
    let [kek, older] = [0, 1].map(|at| keks.ids()[at]);
    let user = UserKey::generate(&entropy);

    let wrapped = wrap_user_key(keks.current(), &user, OWNER, 2, &entropy).unwrap();
    assert!(unwrap_user_key(&keks, kek, OWNER, 2, &wrapped).is_ok());
    assert_eq!(error(unwrap_user_key(&keks, kek, OTHER, 2, &wrapped)), VaultError::Tampered);
    assert_eq!(error(unwrap_user_key(&keks, kek, OWNER, 1, &wrapped)), VaultError::Tampered);
    assert_eq!(error(unwrap_user_key(&keks, older, OWNER, 2, &wrapped)), VaultError::WrongKey);

    let wrapped = wrap_index_key(&user, &IndexKey::generate(&entropy), OWNER, 2, &entropy).unwrap();
    assert!(unwrap_index_key(&user, OWNER, 2, &wrapped).is_ok());
    assert_eq!(error(unwrap_index_key(&user, OTHER, 2, &wrapped)), VaultError::Tampered);
    assert_eq!(error(unwrap_index_key(&user, OWNER, 3, &wrapped)), VaultError::Tampered);

    let wrapped =
        wrap_content_key(&user, &ContentKey::generate(&entropy), OWNER, RING, 2, &entropy).unwrap();
    assert!(unwrap_content_key(&user, OWNER, RING, 2, &wrapped).is_ok());
    assert_eq!(error(unwrap_content_key(&user, OTHER, RING, 2, &wrapped)), VaultError::Tampered);
    assert_eq!(
        error(unwrap_content_key(&user, OWNER, StreamName::Account(OWNER), 2, &wrapped)),
        VaultError::Tampered
    );
    assert_eq!(error(unwrap_content_key(&user, OWNER, RING, 3, &wrapped)), VaultError::Tampered);

    let ad = DataKeyAd { owner: OWNER, key: KEY, secret_version: 4, user_key_version: 2 };
    let wrapped = wrap_data_key(&user, &DataKey::generate(&entropy), &ad, &entropy).unwrap();
    assert!(unwrap_data_key(&user, &ad, &wrapped).is_ok());
    let elsewhere = [
        DataKeyAd { owner: OTHER, ..ad },
        DataKeyAd { key: KeyId(OTHER.0), ..ad },
        DataKeyAd { secret_version: 2, user_key_version: 4, ..ad },
        DataKeyAd { secret_version: 3, ..ad },
        DataKeyAd { user_key_version: 1, ..ad },
    ];
    for ad in elsewhere {
        assert_eq!(error(unwrap_data_key(&user, &ad, &wrapped)), VaultError::Tampered);
    }
    let other = UserKey::generate(&entropy);
    assert_eq!(error(unwrap_data_key(&other, &ad, &wrapped)), VaultError::WrongKey);
    let view = ViewAd { owner: OWNER, stream: RING, view: "keys", row: KEY.0 };
    let content = ContentKey::generate(&entropy);
    let sealed = seal_view(&content, &view, b"{}", &entropy).unwrap();
    let elsewhere = [
        ViewAd { owner: OTHER, ..view },
        ViewAd { stream: StreamName::Account(OWNER), ..view },
        ViewAd { view: "runs", ..view },
        ViewAd { row: OTHER.0, ..view },
    ];
    for ad in elsewhere {
        assert_eq!(error(open_view(&content, &ad, &sealed)), VaultError::Tampered);
    }
}

#[test]
fn a_box_of_one_purpose_opens_for_no_other_purpose() {
    let entropy = Counter::default();
    let user = UserKey::generate(&entropy);
    let index = wrap_index_key(&user, &IndexKey::generate(&entropy), OWNER, 1, &entropy).unwrap();
    let content =
        wrap_content_key(&user, &ContentKey::generate(&entropy), OWNER, RING, 1, &entropy).unwrap();
    let phc = SecretText::new("$argon2id$".to_owned());
    let credential = seal_credential(&user, &phc, &credential_ad(OWNER, 1, 1), &entropy).unwrap();
    assert_eq!(error(unwrap_content_key(&user, OWNER, RING, 1, &index)), VaultError::Tampered);
    assert_eq!(error(unwrap_index_key(&user, OWNER, 1, &content)), VaultError::Tampered);
    assert_eq!(
        error(open_credential(&user, &credential_ad(OWNER, 1, 1), &index)),
        VaultError::Tampered
    );
    assert_eq!(error(unwrap_index_key(&user, OWNER, 1, &credential)), VaultError::Tampered);
    assert_eq!(
        error(open_credential(&user, &credential_ad(OTHER, 1, 1), &credential)),
        VaultError::Tampered
    );
    assert_eq!(
        error(open_credential(&user, &credential_ad(OWNER, 1, 2), &credential)),
        VaultError::Tampered
    );
    assert_eq!(
        error(open_credential(&user, &credential_ad(OWNER, 2, 1), &credential)),
        VaultError::Tampered
    );

    let kek = Kek::generate(&entropy);
    let canary = seal_canary(&kek, &entropy).unwrap();
    let keks = KekSet::new(vec![Kek::from_bytes(*kek.expose())]).unwrap();
    assert_eq!(open_canary(&kek, &canary), Ok(()));
    assert_eq!(error(unwrap_store_index_key(&keks, kek.id(), &canary)), VaultError::Tampered);
}

#[test]
fn missing_added_swapped_or_resized_pieces_of_content_are_detected() {
    let entropy = Counter::default();
    let key = ContentKey::generate(&entropy);
    let ad = ContentAd { owner: OWNER, stream: RING, version: 1, kind: "KeyAdded", schema: 1 };
    let boxes = seal_content(&key, &ad, &vec![7; 3 * PIECE_LEN], &entropy).unwrap();
    let [first, second, third] = <[Vec<u8>; 3]>::try_from(boxes).unwrap();
    let malformed =
        |boxes: &[Vec<u8>]| matches!(open_content(&key, &ad, boxes), Err(VaultError::Malformed(_)));
    let tampered = |boxes: &[Vec<u8>]| open_content(&key, &ad, boxes) == Err(VaultError::Tampered);

    assert!(open_content(&key, &ad, &[first.clone(), second.clone(), third.clone()]).is_ok());
    assert!(malformed(&[]));
    assert!(tampered(&[first.clone(), second.clone()]));
    assert!(tampered(&[second.clone(), first.clone(), third.clone()]));
    assert!(tampered(&[first.clone(), second.clone(), second.clone()]));
    assert!(tampered(&[first.clone(), second.clone(), third.clone(), third.clone()]));
    let short = seal_content(&key, &ad, b"{}", &entropy).unwrap().remove(0);
    assert!(malformed(&[first.clone(), short, third.clone()]));
    let empty = seal_content(&key, &ad, b"", &entropy).unwrap().remove(0);
    assert!(malformed(&[first, second, empty]));
}

#[test]
fn sealing_a_text_twice_gives_different_boxes() {
    let entropy = Counter::default();
    let key = ContentKey::generate(&entropy);
    let ad = ContentAd { owner: OWNER, stream: RING, version: 1, kind: "KeyAdded", schema: 1 };
    let seal = || seal_content(&key, &ad, b"{}", &entropy).unwrap();
    assert_ne!(seal(), seal());
}

fn credential_ad(owner: UserId, password_version: u32, user_key_version: u32) -> CredentialAd {
    CredentialAd { owner, password_version, user_key_version }
}
