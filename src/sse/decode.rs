//! Splits bytes into lines, and lines into the data of server-sent events, wherever the input is
//! cut. Memory is bounded by the limits on a line, an event and the total.

/// A line, an event or the whole input is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is longer than allowed")]
pub struct TooBig;

/// Splits bytes into lines. LF, CR LF and CR end a line, as in the format of server-sent events.
#[derive(Debug)]
pub struct Lines {
    line: Vec<u8>,
    after_cr: bool,
    line_max: usize,
    left: usize,
}

impl Lines {
    /// Accepts lines of at most `line_max` bytes, and `total_max` bytes in total.
    pub const fn new(line_max: usize, total_max: usize) -> Self {
        Self { line: Vec::new(), after_cr: false, line_max, left: total_max }
    }

    /// Passes each line that `bytes` completes to `each`, without its line end.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`. Nothing more may be pushed then.
    pub fn push<E: From<TooBig>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(TooBig)?;
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (end, text) = match part.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (Some(*end), text),
                _ => (None, part),
            };
            let second_of_two =
                std::mem::take(&mut self.after_cr) && text.is_empty() && end == Some(b'\n');
            if second_of_two {
                continue;
            }
            if self.line.len().saturating_add(text.len()) > self.line_max {
                return Err(TooBig.into());
            }
            self.line.extend_from_slice(text);
            if let Some(end) = end {
                self.after_cr = end == b'\r';
                let done = each(&self.line);
                self.line.clear();
                done?;
            }
        }
        Ok(())
    }
}

/// Extracts server-sent events: their names and their data. Ids and comments are ignored.
#[derive(Debug)]
pub struct EventLines {
    lines: Lines,
    event: Event,
    at_start: bool,
    data_max: usize,
}

/// An event as far as it has arrived.
#[derive(Debug, Default)]
struct Event {
    name: Option<Vec<u8>>,
    data: Vec<u8>,
    has_data: bool,
}

impl Event {
    fn take<E: From<TooBig>>(&mut self, line: &[u8], data_max: usize) -> Result<(), E> {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (field, value) = line.split_at(colon);
                let value = value.strip_prefix(b":").unwrap_or(value);
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"event" => self.name = Some(value.to_vec()),
            b"data" => {
                if self.data.len().saturating_add(value.len()) >= data_max {
                    return Err(TooBig.into());
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Passes the event on, if there is one, and begins the next.
    fn end<E>(
        &mut self,
        each: &mut impl FnMut(Option<&[u8]>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.name.take();
        let is_event = std::mem::take(&mut self.has_data) || name.is_some();
        let done = if is_event { each(name.as_deref(), &self.data) } else { Ok(()) };
        self.data.clear();
        done
    }
}

impl EventLines {
    /// Accepts lines and events of at most `line_max` bytes, and `total_max` bytes in total.
    pub const fn new(line_max: usize, total_max: usize) -> Self {
        let event = Event { name: None, data: Vec::new(), has_data: false };
        let lines = Lines::new(line_max, total_max);
        Self { lines, event, at_start: true, data_max: line_max }
    }

    /// Passes the data of each event that `bytes` completes to `each`. Events without data are
    /// ignored.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`. Nothing more may be pushed then.
    pub fn push<E: From<TooBig>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push_named(bytes, |_, data| if data.is_empty() { Ok(()) } else { each(data) })
    }

    /// Passes the name and the data of each event that `bytes` completes to `each`. An event that
    /// has only a name has empty data.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`. Nothing more may be pushed then.
    pub fn push_named<E: From<TooBig>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Option<&[u8]>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { lines, event, at_start, data_max } = self;
        lines.push(bytes, |line| {
            let line = if std::mem::take(at_start) {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
            } else {
                line
            };
            if line.is_empty() { event.end(&mut each) } else { event.take(line, *data_max) }
        })
    }

    /// Passes on the event that the end of the input left without its empty line.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`.
    pub fn finish<E: From<TooBig>>(
        &mut self,
        each: impl FnMut(Option<&[u8]>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push_named(b"\n\n", each)
    }
}
