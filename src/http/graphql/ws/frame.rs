//! The head of a WebSocket frame (RFC 6455, section 5.2), as far as its length is concerned. The
//! library checks everything else.

/// The most bytes of a head: two, a length of eight, a mask of four.
const MOST: usize = 14;

/// A head of which some bytes have arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    bytes: [u8; MOST],
    known: usize,
}

/// A complete head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Bytes of the payload.
    pub(super) length: u64,
    pub(super) is_control: bool,
    /// No other frame of its message follows.
    pub(super) is_last: bool,
}

impl Head {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MOST], known: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// Bytes of the head that certainly follow.
    pub(super) const fn missing(&self) -> usize {
        self.length().saturating_sub(self.known)
    }

    /// Bytes of the whole head, as far as it is known.
    const fn length(&self) -> usize {
        if self.known < 2 {
            return 2;
        }
        let [_, second, ..] = self.bytes;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if second & 0x80 == 0 { 0 } else { 4 }
    }

    /// Takes at most [`Self::missing`] bytes. Returns the frame when its head is complete, and
    /// begins the next one.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Frame> {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.known) {
                *place = *byte;
                self.known += 1;
            }
        }
        if self.missing() > 0 {
            return None;
        }
        let [first, second, long @ ..] = self.bytes;
        let big_endian =
            |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let length = match second & 0x7f {
            126 => big_endian(long.get(..2)?),
            127 => big_endian(long.get(..8)?),
            short => u64::from(short),
        };
        *self = Self::new();
        Some(Frame { length, is_control: first & 0x08 != 0, is_last: first & 0x80 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes as few bytes at a time as are wanted.
    fn frame(bytes: &[u8], at_once: usize) -> (Option<Frame>, usize) {
        let (mut head, mut at) = (Head::new(), 0);
        while at < bytes.len() {
            let end = bytes.len().min(at + head.missing().min(at_once));
            let found = head.push(&bytes[at..end]);
            at = end;
            if found.is_some() {
                assert!(head.is_empty());
                return (found, at);
            }
        }
        (None, at)
    }

    #[test]
    fn the_length_of_a_frame_is_known_from_its_head_alone() {
        let text = |length| Frame { length, is_control: false, is_last: true };
        let mask = [1, 2, 3, 4];
        for (head, expected) in [
            (vec![0x81, 0x05], text(5)),
            ([&[0x81, 0x85][..], &mask].concat(), text(5)),
            ([&[0x81, 0xfe, 0x01, 0x02][..], &mask].concat(), text(0x0102)),
            ([&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0][..], &mask].concat(), text(0x0001_0000)),
            (vec![0x01, 0x00], Frame { is_last: false, ..text(0) }),
            (vec![0x80, 0x01], text(1)),
            ([&[0x89, 0x80][..], &mask].concat(), Frame { is_control: true, ..text(0) }),
        ] {
            let all = [&head[..], b"payload"].concat();
            for at_once in [1, 2, 100] {
                assert_eq!(frame(&all, at_once), (Some(expected), head.len()), "{head:?}");
            }
            assert_eq!(frame(&head[..head.len() - 1], 100).0, None);
        }
    }
}
