//! Stream tickets (`FORMATS.md`, section 4): for clients that can't send a header. Nothing of them is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use claviger_vault::StoreIndexKey;
use uuid::Uuid;

/// A ticket, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// Of which session.
    pub session: SessionId,
    /// Until when it may be used first.
    pub first_use_until: Timestamp,
}

const BODY: usize = 1 + 16 * 3 + 8;

impl Ticket {
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY + 32);
        body.push(1);
        body.extend_from_slice(self.id.as_bytes());
        body.extend_from_slice(self.user.0.as_bytes());
        body.extend_from_slice(self.session.0.as_bytes());
        body.extend_from_slice(&self.first_use_until.0.to_be_bytes());
        body
    }

    /// Writes it.
    pub(super) fn write(&self, index: &StoreIndexKey) -> SecretText {
        let mut bytes = self.body();
        let mac = index.ticket_mac(&bytes);
        bytes.extend_from_slice(&mac);
        SecretText::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one that we made; whether its session still lives the store says.
    pub(super) fn read(index: &StoreIndexKey, text: &str) -> Option<Self> {
        if text.len() > 200 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, mac) = bytes.split_at_checked(BODY)?;
        if !index.verify_ticket_mac(body, mac.try_into().ok()?) {
            return None;
        }
        let (format, rest) = body.split_first()?;
        let (id, rest) = rest.split_at_checked(16)?;
        let (user, rest) = rest.split_at_checked(16)?;
        let (session, until) = rest.split_at_checked(16)?;
        let id_of = |bytes: &[u8]| bytes.try_into().ok().map(Uuid::from_bytes);
        (*format == 1).then_some(Self {
            id: id_of(id)?,
            user: UserId(id_of(user)?),
            session: SessionId(id_of(session)?),
            first_use_until: Timestamp(u64::from_be_bytes(until.try_into().ok()?)),
        })
    }

    /// The `id:` under which a cursor is sent on this ticket's stream: nobody can make one who hasn't seen the stream.
    pub(super) fn event_id(&self, index: &StoreIndexKey, cursor: &str) -> String {
        let mac = index.ticket_event_mac(self.id, cursor);
        format!("{cursor}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The cursor in an `id:` that was sent on this ticket's stream.
    pub(super) fn cursor_of(&self, index: &StoreIndexKey, event_id: &str) -> Option<String> {
        if event_id.len() > 200 {
            return None;
        }
        let (cursor, mac) = event_id.split_once('.')?;
        let mac: [u8; 16] = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        index.verify_ticket_event_mac(self.id, cursor, &mac).then(|| cursor.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_vault::Entropy;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn only_what_we_made_is_a_ticket_or_an_id_of_its_stream() {
        let index = StoreIndexKey::generate(&Fixed(7));
        let ticket = Ticket {
            id: Uuid::from_u128(1),
            user: UserId(Uuid::from_u128(2)),
            session: SessionId(Uuid::from_u128(3)),
            first_use_until: Timestamp(1_760_000_000_000),
        };
        let text = ticket.write(&index);
        assert_eq!(Ticket::read(&index, text.expose()), Some(ticket));
        assert_eq!(Ticket::read(&StoreIndexKey::generate(&Fixed(8)), text.expose()), None);
        let bytes = URL_SAFE_NO_PAD.decode(text.expose()).unwrap();
        for n in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[n] ^= 1;
            assert_eq!(Ticket::read(&index, &URL_SAFE_NO_PAD.encode(&changed)), None, "byte {n}");
            assert_eq!(Ticket::read(&index, &URL_SAFE_NO_PAD.encode(&bytes[..n])), None, "first {n} bytes");
        }
        let id = ticket.event_id(&index, "AQAAAAAAAAAB");
        assert_eq!(ticket.cursor_of(&index, &id).as_deref(), Some("AQAAAAAAAAAB"));
        let other = Ticket { id: Uuid::from_u128(9), ..ticket };
        for (ticket, id) in
            [(&other, id.as_str()), (&ticket, "AQAAAAAAAAAB"), (&ticket, &id.replace("AB.", "AC.")), (&ticket, "")]
        {
            assert_eq!(ticket.cursor_of(&index, id), None, "{id}");
        }
    }
}
