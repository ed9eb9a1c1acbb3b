//! Messages of DNS (RFC 1035), as far as two kinds of questions need them. Every byte of an answer
//! is doubted.

/// A service: RFC 2782.
pub(super) const SRV: u16 = 33;
pub(super) const TXT: u16 = 16;
const INTERNET: u16 = 1;

/// Most names that a compressed name may point through.
const MOST_JUMPS: usize = 16;

/// Most records of an answer.
const MOST_RECORDS: u16 = 256;

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The data of the records of the kind that was asked for, and their place in the message.
    Found(Vec<Record>),
    /// There is no such name, or nothing of this kind.
    Nothing,
    /// It did not fit: ask again over a stream.
    Cut,
    /// The server can't or won't say.
    Refused,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The host without its last dot, in lower case, and the port.
    Service(String, u16),
    /// The strings of a text, joined.
    Text(String),
}

/// A question.
pub(super) struct Question<'a> {
    pub(super) id: u16,
    pub(super) name: &'a str,
    pub(super) kind: u16,
}

impl Question<'_> {
    /// Its bytes; `None` for a name that can't be asked for.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        // Recursion desired, one question, nothing else.
        bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in self.name.split('.') {
            let length =
                u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
            bytes.push(length);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        (bytes.len() <= 300).then_some(bytes)
    }

    /// Reads an answer to it; `None` for what is no answer to this question, or garbled.
    pub(super) fn answered(&self, message: &[u8]) -> Option<Answer> {
        let mut reader = Reader { message, at: 0 };
        let (id, flags) = (reader.number()?, reader.number()?);
        let [questions, answers] = [reader.number()?, reader.number()?];
        reader.at += 4;
        if id != self.id || flags & 0x8000 == 0 || questions != 1 {
            return None;
        }
        let asked = (reader.name()?, reader.number()?, reader.number()?);
        if asked != (self.name.to_ascii_lowercase(), self.kind, INTERNET) {
            return None;
        }
        if flags & 0x0200 != 0 {
            return Some(Answer::Cut);
        }
        match flags & 0x000f {
            0 => {}
            3 => return Some(Answer::Nothing),
            _ => return Some(Answer::Refused),
        }
        let mut found = Vec::new();
        for _ in 0..answers.min(MOST_RECORDS) {
            // The name may differ, behind an alias.
            reader.name()?;
            let (kind, class) = (reader.number()?, reader.number()?);
            reader.at += 4;
            let length = usize::from(reader.number()?);
            let end = reader.at.checked_add(length).filter(|end| *end <= message.len())?;
            if (kind, class) == (self.kind, INTERNET) {
                found.push(if kind == SRV { reader.service()? } else { reader.text(end)? });
            }
            reader.at = end;
        }
        Some(if found.is_empty() { Answer::Nothing } else { Answer::Found(found) })
    }
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.message.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn some(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// A name, which may end in a pointer to an earlier one.
    fn name(&mut self) -> Option<String> {
        let (mut name, mut after, mut jumps) = (String::new(), None, 0);
        loop {
            let length = self.byte()?;
            match length {
                0 => break,
                1..=63 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    let label = self.some(usize::from(length))?;
                    if !label
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
                    {
                        return None;
                    }
                    name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                }
                192.. => {
                    let low = self.byte()?;
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    jumps += 1;
                }
                64..=191 => return None,
            }
            if jumps > MOST_JUMPS || name.len() > 255 {
                return None;
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }

    fn service(&mut self) -> Option<Record> {
        // Priority and weight: the driver asks all hosts.
        self.at += 4;
        let port = self.number()?;
        Some(Record::Service(self.name()?, port))
    }

    fn text(&mut self, end: usize) -> Option<Record> {
        let mut text = String::new();
        while self.at < end {
            let length = usize::from(self.byte()?);
            text.push_str(std::str::from_utf8(self.some(length)?).ok()?);
        }
        (self.at == end).then_some(Record::Text(text))
    }
}
